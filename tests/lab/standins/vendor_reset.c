// SPDX-License-Identifier: GPL-2.0
/*
 * vendor_reset: a stand-in, for tests only, with the name of the module that
 * resets AMD cards whose own reset does not work.
 *
 * As the real one it answers for the kernel when that asks whether a reset of
 * a device of this vendor is known ("device_specific" in reset_method). Where
 * the real one resets the card, this one does nothing and says that it worked.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/pci.h>

static uint vendor = PCI_VENDOR_ID_ATI;
module_param(vendor, uint, 0444);
MODULE_PARM_DESC(vendor, "whose cards it knows; 0: nobody's");

struct asked {
	struct pci_dev *pdev;
};

/* int pci_dev_specific_reset(struct pci_dev *pdev, bool probe) */
static int on_entry(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct asked *asked = (struct asked *)call->data;

	asked->pdev = (struct pci_dev *)regs_get_kernel_argument(regs, 0);
	return 0;
}

static int on_return(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct asked *asked = (struct asked *)call->data;

	if (asked->pdev->vendor == vendor)
		regs_set_return_value(regs, 0);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "pci_dev_specific_reset",
	.entry_handler = on_entry,
	.handler = on_return,
	.data_size = sizeof(struct asked),
};

static int __init vendor_reset_init(void)
{
	return register_kretprobe(&probe);
}

static void __exit vendor_reset_exit(void)
{
	unregister_kretprobe(&probe);
}

module_init(vendor_reset_init);
module_exit(vendor_reset_exit);

MODULE_DESCRIPTION("Stand-in for tests, resets nothing");
MODULE_LICENSE("GPL");
