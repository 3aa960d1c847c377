// SPDX-License-Identifier: GPL-2.0
/*
 * standin_ids: lets PCI functions look as if another vendor had made them.
 *
 * A stand-in, for tests only. QEMU has no card of NVIDIA, and plugins go by
 * the vendor that sysfs shows. What changes is the kernel's own copy of the
 * two numbers (sysfs, uevents, the match with drivers); configuration space,
 * and with it a guest, still says what QEMU made.
 *
 *	modprobe standin_ids as=0000:01:00.0=10de:2204,0000:01:00.1=10de:1aef
 */
#include <linux/module.h>
#include <linux/pci.h>

#define MOST 8

static char *as[MOST];
static int count;
module_param_array(as, charp, &count, 0444);
MODULE_PARM_DESC(as, "DOMAIN:BUS:DEVICE.FUNCTION=VENDOR:DEVICE, in hexadecimal, several with commas");

static struct {
	struct pci_dev *pdev;
	unsigned short vendor;
	unsigned short device;
} before[MOST];

static int pretend(int i)
{
	unsigned int domain, bus, slot, function, vendor, device;

	if (sscanf(as[i], "%x:%x:%x.%x=%x:%x", &domain, &bus, &slot, &function,
		   &vendor, &device) != 6)
		return -EINVAL;
	before[i].pdev = pci_get_domain_bus_and_slot(domain, bus,
						     PCI_DEVFN(slot, function));
	if (!before[i].pdev)
		return -ENODEV;
	before[i].vendor = before[i].pdev->vendor;
	before[i].device = before[i].pdev->device;
	before[i].pdev->vendor = vendor;
	before[i].pdev->device = device;
	return 0;
}

static void restore_all(void)
{
	int i;

	for (i = 0; i < MOST && before[i].pdev; i++) {
		before[i].pdev->vendor = before[i].vendor;
		before[i].pdev->device = before[i].device;
		pci_dev_put(before[i].pdev);
		before[i].pdev = NULL;
	}
}

static int __init ids_init(void)
{
	int i, err;

	for (i = 0; i < count; i++) {
		err = pretend(i);
		if (err) {
			pr_err("standin_ids: %s: error %d\n", as[i], err);
			restore_all();
			return err;
		}
	}
	return 0;
}

static void __exit ids_exit(void)
{
	restore_all();
}

module_init(ids_init);
module_exit(ids_exit);

MODULE_DESCRIPTION("Stand-in for tests: other vendor and device numbers for PCI functions");
MODULE_LICENSE("GPL");
