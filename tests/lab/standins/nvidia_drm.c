// SPDX-License-Identifier: GPL-2.0
/*
 * nvidia_drm: a stand-in, for tests only, with the name of NVIDIA's module.
 *
 * With modeset=1 (the default, as with series 595) every card on nvidia gets a
 * DRM device, on which an X server runs; an open node holds a reference to this
 * module, not to nvidia. fbdev=1 adds a framebuffer for the text console. The
 * cards stay bound to nvidia: this module is no PCI driver.
 */
#include <drm/drm_aperture.h>
#include <linux/module.h>

#include "nvidia.h"
#include "standin_kms.h"

#define MOST_CARDS 8

static bool modeset = true;
module_param(modeset, bool, 0444);
MODULE_PARM_DESC(modeset, "a DRM device for every card");

static bool fbdev;
module_param(fbdev, bool, 0444);
MODULE_PARM_DESC(fbdev, "a framebuffer for the text console");

DEFINE_DRM_GEM_FOPS(nvidia_fops);

static const struct drm_driver nvidia_drm = {
	.driver_features = STANDIN_KMS_FEATURES,
	.name = "nvidia-drm",
	.desc = "stand-in for tests, not NVIDIA's driver",
	.date = "20260101",
	.fops = &nvidia_fops,
	DRM_GEM_SHMEM_DRIVER_OPS,
};

/* Guarded by the caller: nvidia calls both functions under its lock. */
static struct drm_device *screens[MOST_CARDS];

static struct drm_device **screen_of(struct pci_dev *pdev)
{
	int i;

	for (i = 0; i < MOST_CARDS; i++)
		if (screens[i] && screens[i]->dev == &pdev->dev)
			return &screens[i];
	return NULL;
}

static void added(struct pci_dev *pdev)
{
	struct drm_device *drm;
	int i;

	if (drm_aperture_remove_conflicting_pci_framebuffers(pdev, &nvidia_drm))
		return;
	for (i = 0; i < MOST_CARDS && screens[i]; i++)
		;
	if (i == MOST_CARDS)
		return;
	drm = standin_kms_add(&nvidia_drm, pdev, fbdev);
	if (!IS_ERR(drm))
		screens[i] = drm;
}

static void leaving(struct pci_dev *pdev)
{
	struct drm_device **screen = screen_of(pdev);

	if (!screen)
		return;
	standin_kms_remove(*screen);
	*screen = NULL;
}

static const struct nvidia_watcher watcher = {
	.added = added,
	.leaving = leaving,
};

static int __init nvidia_drm_init(void)
{
	return modeset ? nvidia_modeset_watch(&watcher) : 0;
}

static void __exit nvidia_drm_exit(void)
{
	if (modeset)
		nvidia_modeset_unwatch();
}

module_init(nvidia_drm_init);
module_exit(nvidia_drm_exit);

MODULE_DESCRIPTION("Stand-in for tests, not NVIDIA's driver");
MODULE_LICENSE("GPL");
