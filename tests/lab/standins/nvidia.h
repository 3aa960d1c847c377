/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stand-in, for tests only: what the stand-in modules named after NVIDIA's
 * offer to one another. nvidia_modeset needs nvidia, nvidia_drm needs
 * nvidia_modeset, nvidia_uvm needs nvidia: the real graph.
 */
#ifndef STANDIN_NVIDIA_H
#define STANDIN_NVIDIA_H

#include <linux/pci.h>

#define NVIDIA_MAJOR		195
#define NVIDIA_MODESET_MINOR	254
#define NVIDIA_CTL_MINOR	255

/* Who wants to know of the cards. There is one at most: nvidia_drm. */
struct nvidia_watcher {
	void (*added)(struct pci_dev *pdev);
	void (*leaving)(struct pci_dev *pdev);
};

int nvidia_watch(const struct nvidia_watcher *watcher);
void nvidia_unwatch(void);

int nvidia_modeset_watch(const struct nvidia_watcher *watcher);
void nvidia_modeset_unwatch(void);

/* So that nvidia_uvm needs nvidia. */
const char *nvidia_version(void);

#endif
