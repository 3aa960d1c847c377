// SPDX-License-Identifier: GPL-2.0
/*
 * nvidia_uvm: a stand-in, for tests only. It has the name of NVIDIA's module,
 * its need of nvidia, and /dev/nvidia-uvm and /dev/nvidia-uvm-tools, whose
 * major number the kernel chooses and which hold a reference to it.
 */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>

#include "nvidia.h"

#define NODES	2

static const struct file_operations uvm_fops = {
	.owner = THIS_MODULE,
};
static dev_t first;
static struct cdev nodes;

static int __init uvm_init(void)
{
	int err = alloc_chrdev_region(&first, 0, NODES, "nvidia-uvm");

	if (err)
		return err;
	cdev_init(&nodes, &uvm_fops);
	nodes.owner = THIS_MODULE;
	err = cdev_add(&nodes, first, NODES);
	if (err) {
		unregister_chrdev_region(first, NODES);
		return err;
	}
	pr_info("nvidia-uvm: loaded with the stand-in nvidia %s, major %u\n",
		nvidia_version(), MAJOR(first));
	return 0;
}

static void __exit uvm_exit(void)
{
	cdev_del(&nodes);
	unregister_chrdev_region(first, NODES);
}

module_init(uvm_init);
module_exit(uvm_exit);

MODULE_DESCRIPTION("Stand-in for tests, not NVIDIA's driver");
MODULE_LICENSE("GPL");
