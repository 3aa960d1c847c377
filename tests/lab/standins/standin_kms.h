/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stand-in, for tests only: what standin_kms offers to the stand-in drivers
 * that have a screen.
 */
#ifndef STANDIN_KMS_H
#define STANDIN_KMS_H

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_shmem_helper.h>
#include <linux/pci.h>

#define STANDIN_KMS_FEATURES \
	(DRIVER_MODESET | DRIVER_GEM | DRIVER_ATOMIC | DRIVER_RENDER)

/*
 * Makes and registers a DRM device of @driver on @pdev, which must be enabled.
 * @fbdev: with a framebuffer, so that the text console moves to the card.
 */
struct drm_device *standin_kms_add(const struct drm_driver *driver,
				   struct pci_dev *pdev, bool fbdev);

/* Takes it away. Files that are still open keep the memory and the module. */
void standin_kms_remove(struct drm_device *drm);

#endif
