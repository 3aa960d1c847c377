// SPDX-License-Identifier: GPL-2.0
/*
 * nvidia: a stand-in, for tests only, with the name of NVIDIA's driver.
 *
 * It drives QEMU's VGA, which standin_ids makes look like an NVIDIA card, and
 * does nothing with it. What it has of the real driver, as seen in its public
 * source and in reports (docs/explanation/proof.md):
 *
 *  - /dev/nvidiactl (195:255) and /dev/nvidiaN (195:N); an open one holds a
 *    reference to the module. The kernel makes no nodes for them: on a real
 *    host nvidia-modprobe or a udev rule does, and here nvidia-nodes.
 *  - /proc/driver/nvidia/version and gpus/ADDRESS/information.
 *  - a usage counter per card, and a remove() that waits for it for ever.
 *
 * It computes nothing, draws nothing, has no firmware and no power management,
 * and the nodes know no ioctl.
 */
#include <linux/cdev.h>
#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "nvidia.h"

#ifndef NVIDIA_VERSION
#define NVIDIA_VERSION	"550.163.01"
#endif
#define MOST_CARDS	8
#define POLL_MS		500

static int usage_count[MOST_CARDS];
module_param_array(usage_count, int, NULL, 0644);
MODULE_PARM_DESC(usage_count, "users of each card, by minor; write more to leak, 0 to rescue");

static bool wait_in_remove = true;
module_param(wait_in_remove, bool, 0644);
MODULE_PARM_DESC(wait_in_remove, "remove() waits until nobody uses the card (as the real one)");

struct card {
	struct pci_dev *pdev;
	struct proc_dir_entry *proc;
};

/* Guards what follows and usage_count. */
static DEFINE_MUTEX(lock);
static struct card cards[MOST_CARDS];
static const struct nvidia_watcher *watcher;

static struct proc_dir_entry *proc_root;
static struct proc_dir_entry *proc_gpus;
static struct cdev card_nodes;
static struct cdev ctl_node;

const char *nvidia_version(void)
{
	return NVIDIA_VERSION;
}
EXPORT_SYMBOL_GPL(nvidia_version);

int nvidia_watch(const struct nvidia_watcher *new)
{
	int i;

	mutex_lock(&lock);
	watcher = new;
	for (i = 0; i < MOST_CARDS; i++)
		if (cards[i].pdev)
			watcher->added(cards[i].pdev);
	mutex_unlock(&lock);
	return 0;
}
EXPORT_SYMBOL_GPL(nvidia_watch);

void nvidia_unwatch(void)
{
	int i;

	mutex_lock(&lock);
	for (i = 0; i < MOST_CARDS; i++)
		if (cards[i].pdev)
			watcher->leaving(cards[i].pdev);
	watcher = NULL;
	mutex_unlock(&lock);
}
EXPORT_SYMBOL_GPL(nvidia_unwatch);

/* /dev/nvidiaN and /dev/nvidiactl */

static int card_open(struct inode *inode, struct file *file)
{
	unsigned int minor = iminor(inode);
	int err = -ENODEV;

	mutex_lock(&lock);
	if (minor < MOST_CARDS && cards[minor].pdev) {
		usage_count[minor]++;
		err = 0;
	}
	mutex_unlock(&lock);
	return err;
}

static int card_release(struct inode *inode, struct file *file)
{
	unsigned int minor = iminor(inode);

	mutex_lock(&lock);
	if (cards[minor].pdev && usage_count[minor] > 0)
		usage_count[minor]--;
	mutex_unlock(&lock);
	return 0;
}

static const struct file_operations card_fops = {
	.owner = THIS_MODULE,
	.open = card_open,
	.release = card_release,
};

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
};

static int make_nodes(void)
{
	int err = register_chrdev_region(MKDEV(NVIDIA_MAJOR, 0), MOST_CARDS,
					 "nvidia");

	if (err)
		return err;
	err = register_chrdev_region(MKDEV(NVIDIA_MAJOR, NVIDIA_CTL_MINOR), 1,
				     "nvidiactl");
	if (err)
		goto no_ctl;
	cdev_init(&card_nodes, &card_fops);
	card_nodes.owner = THIS_MODULE;
	cdev_init(&ctl_node, &ctl_fops);
	ctl_node.owner = THIS_MODULE;
	err = cdev_add(&card_nodes, MKDEV(NVIDIA_MAJOR, 0), MOST_CARDS);
	if (err)
		goto no_cards;
	err = cdev_add(&ctl_node, MKDEV(NVIDIA_MAJOR, NVIDIA_CTL_MINOR), 1);
	if (!err)
		return 0;
	cdev_del(&card_nodes);
no_cards:
	unregister_chrdev_region(MKDEV(NVIDIA_MAJOR, NVIDIA_CTL_MINOR), 1);
no_ctl:
	unregister_chrdev_region(MKDEV(NVIDIA_MAJOR, 0), MOST_CARDS);
	return err;
}

static void drop_nodes(void)
{
	cdev_del(&ctl_node);
	cdev_del(&card_nodes);
	unregister_chrdev_region(MKDEV(NVIDIA_MAJOR, NVIDIA_CTL_MINOR), 1);
	unregister_chrdev_region(MKDEV(NVIDIA_MAJOR, 0), MOST_CARDS);
}

/* /proc/driver/nvidia */

static int show_version(struct seq_file *out, void *unused)
{
	seq_printf(out, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  stand-in for tests\n",
		   NVIDIA_VERSION);
	seq_puts(out, "GCC version:  gcc\n");
	return 0;
}

static int show_card(struct seq_file *out, void *unused)
{
	long minor = (long)out->private;
	struct pci_dev *pdev = cards[minor].pdev;

	if (!pdev)
		return -ENODEV;
	seq_puts(out, "Model: \t\t NVIDIA stand-in\n");
	seq_printf(out, "IRQ:   \t\t %u\n", pdev->irq);
	seq_printf(out, "GPU UUID: \t GPU-00000000-0000-0000-0000-%012lx\n", minor);
	seq_puts(out, "Video BIOS: \t ??.??.??.??.??\n");
	seq_puts(out, "Bus Type: \t PCIe\n");
	seq_puts(out, "DMA Size: \t 47 bits\n");
	seq_puts(out, "DMA Mask: \t 0x7fffffffffff\n");
	seq_printf(out, "Bus Location: \t %s\n", pci_name(pdev));
	seq_printf(out, "Device Minor: \t %ld\n", minor);
	seq_puts(out, "GPU Excluded:\t No\n");
	return 0;
}

static int make_proc(void)
{
	proc_root = proc_mkdir("driver/nvidia", NULL);
	if (!proc_root)
		return -ENOMEM;
	proc_gpus = proc_mkdir("gpus", proc_root);
	if (proc_gpus &&
	    proc_create_single("version", 0444, proc_root, show_version))
		return 0;
	proc_remove(proc_root);
	return -ENOMEM;
}

/* The cards */

static long free_minor(void)
{
	long minor;

	for (minor = 0; minor < MOST_CARDS; minor++)
		if (!cards[minor].pdev && !usage_count[minor])
			return minor;
	return -ENOSPC;
}

static int add_card(struct pci_dev *pdev)
{
	long minor = free_minor();

	if (minor < 0)
		return minor;
	cards[minor].proc = proc_mkdir(pci_name(pdev), proc_gpus);
	if (!cards[minor].proc)
		return -ENOMEM;
	if (!proc_create_single_data("information", 0444, cards[minor].proc,
				     show_card, (void *)minor)) {
		proc_remove(cards[minor].proc);
		return -ENOMEM;
	}
	cards[minor].pdev = pdev;
	pci_set_drvdata(pdev, (void *)minor);
	if (watcher)
		watcher->added(pdev);
	return 0;
}

static int nvidia_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int err = pcim_enable_device(pdev);

	if (err)
		return err;
	mutex_lock(&lock);
	err = add_card(pdev);
	mutex_unlock(&lock);
	return err;
}

/*
 * What the real driver does with a card in use: it says so and polls, deaf to
 * every signal, while the caller holds the device's lock.
 */
static void wait_until_unused(struct pci_dev *pdev, long minor)
{
	if (!READ_ONCE(usage_count[minor]) || !READ_ONCE(wait_in_remove))
		return;
	pr_err("NVRM: Attempting to remove device %s with non-zero usage count!\n",
	       pci_name(pdev));
	while (READ_ONCE(usage_count[minor]) && READ_ONCE(wait_in_remove))
		msleep(POLL_MS);
	pr_err("NVRM: Continuing with GPU removal for device %s\n",
	       pci_name(pdev));
}

static void nvidia_remove(struct pci_dev *pdev)
{
	long minor = (long)pci_get_drvdata(pdev);
	struct proc_dir_entry *proc;

	mutex_lock(&lock);
	if (watcher)
		watcher->leaving(pdev);
	proc = cards[minor].proc;
	mutex_unlock(&lock);

	wait_until_unused(pdev, minor);

	proc_remove(proc);
	mutex_lock(&lock);
	cards[minor].pdev = NULL;
	usage_count[minor] = 0;
	mutex_unlock(&lock);
}

static const struct pci_device_id nvidia_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID),
	  .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff0000 },
	{ }
};
MODULE_DEVICE_TABLE(pci, nvidia_ids);

static struct pci_driver nvidia_driver = {
	.name = "nvidia",
	.id_table = nvidia_ids,
	.probe = nvidia_probe,
	.remove = nvidia_remove,
};

static int __init nvidia_init(void)
{
	int err = make_proc();

	if (err)
		return err;
	err = make_nodes();
	if (err)
		goto no_nodes;
	err = pci_register_driver(&nvidia_driver);
	if (!err)
		return 0;
	drop_nodes();
no_nodes:
	proc_remove(proc_root);
	return err;
}

static void __exit nvidia_exit(void)
{
	pci_unregister_driver(&nvidia_driver);
	drop_nodes();
	proc_remove(proc_root);
}

module_init(nvidia_init);
module_exit(nvidia_exit);

MODULE_DESCRIPTION("Stand-in for tests, not NVIDIA's driver");
MODULE_VERSION(NVIDIA_VERSION);
MODULE_LICENSE("GPL");
