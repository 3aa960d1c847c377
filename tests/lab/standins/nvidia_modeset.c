// SPDX-License-Identifier: GPL-2.0
/*
 * nvidia_modeset: a stand-in, for tests only. It has the name of NVIDIA's
 * module, its place between nvidia and nvidia_drm, and /dev/nvidia-modeset
 * (195:254), which holds a reference to it.
 */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>

#include "nvidia.h"

static const struct file_operations modeset_fops = {
	.owner = THIS_MODULE,
};
static const dev_t number = MKDEV(NVIDIA_MAJOR, NVIDIA_MODESET_MINOR);
static struct cdev node;

int nvidia_modeset_watch(const struct nvidia_watcher *watcher)
{
	return nvidia_watch(watcher);
}
EXPORT_SYMBOL_GPL(nvidia_modeset_watch);

void nvidia_modeset_unwatch(void)
{
	nvidia_unwatch();
}
EXPORT_SYMBOL_GPL(nvidia_modeset_unwatch);

static int __init modeset_init(void)
{
	int err = register_chrdev_region(number, 1, "nvidia-modeset");

	if (err)
		return err;
	cdev_init(&node, &modeset_fops);
	node.owner = THIS_MODULE;
	err = cdev_add(&node, number, 1);
	if (err)
		unregister_chrdev_region(number, 1);
	return err;
}

static void __exit modeset_exit(void)
{
	cdev_del(&node);
	unregister_chrdev_region(number, 1);
}

module_init(modeset_init);
module_exit(modeset_exit);

MODULE_DESCRIPTION("Stand-in for tests, not NVIDIA's driver");
MODULE_LICENSE("GPL");
