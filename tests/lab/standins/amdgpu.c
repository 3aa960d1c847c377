// SPDX-License-Identifier: GPL-2.0
/*
 * amdgpu: a stand-in, for tests only, with the name of AMD's driver.
 *
 * It drives QEMU's VGA, which standin_ids makes look like an AMD card. What it
 * has of the real one: the name, a card and a render node, a framebuffer under
 * the text console, and an unbind that passes while processes have the nodes
 * open. It knows nothing of AMD: no firmware, no memory to clear on the way
 * out, no reset, no KFD, no runtime power management of its own.
 */
#include <drm/drm_aperture.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "standin_kms.h"

DEFINE_DRM_GEM_FOPS(amdgpu_fops);

static const struct drm_driver amdgpu_drm = {
	.driver_features = STANDIN_KMS_FEATURES,
	.name = "amdgpu",
	.desc = "stand-in for tests, not AMD's driver",
	.date = "20260101",
	.major = 3,
	.fops = &amdgpu_fops,
	DRM_GEM_SHMEM_DRIVER_OPS,
};

static int amdgpu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct drm_device *drm;
	int err;

	err = drm_aperture_remove_conflicting_pci_framebuffers(pdev, &amdgpu_drm);
	if (err)
		return err;
	err = pcim_enable_device(pdev);
	if (err)
		return err;
	drm = standin_kms_add(&amdgpu_drm, pdev, true);
	if (IS_ERR(drm))
		return PTR_ERR(drm);
	pci_set_drvdata(pdev, drm);
	return 0;
}

static void amdgpu_remove(struct pci_dev *pdev)
{
	standin_kms_remove(pci_get_drvdata(pdev));
}

static const struct pci_device_id amdgpu_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_ATI, PCI_ANY_ID),
	  .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff0000 },
	{ }
};
MODULE_DEVICE_TABLE(pci, amdgpu_ids);

static struct pci_driver amdgpu_driver = {
	.name = "amdgpu",
	.id_table = amdgpu_ids,
	.probe = amdgpu_probe,
	.remove = amdgpu_remove,
};
module_pci_driver(amdgpu_driver);

MODULE_DESCRIPTION("Stand-in for tests, not AMD's driver");
MODULE_LICENSE("GPL");
