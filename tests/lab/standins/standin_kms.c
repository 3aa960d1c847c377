// SPDX-License-Identifier: GPL-2.0
/*
 * standin_kms: one screen on QEMU's VGA (1234:1111) for the stand-in drivers.
 *
 * A stand-in, for tests only. It gives them what a hand-off meets: a card and
 * a render node, a picture, a framebuffer under the text console, and a DRM
 * device that outlives its driver while a process has it open. There is no
 * acceleration, no power management, no firmware and no second screen.
 *
 * The hardware: docs/specs/standard-vga in QEMU. BAR 0 is the memory, BAR 2
 * has the VGA ports at 0x400 and the mode registers, 16 bits each, at 0x500.
 */
#include <drm/drm_atomic_helper.h>
#include <drm/drm_damage_helper.h>
#include <drm/drm_edid.h>
#include <drm/drm_fb_helper.h>
#include <drm/drm_format_helper.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_atomic_helper.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_managed.h>
#include <drm/drm_probe_helper.h>
#include <drm/drm_simple_kms_helper.h>
#if __has_include(<drm/drm_fbdev_shmem.h>) /* since Linux 6.11 */
#include <drm/drm_fbdev_shmem.h>
#define set_up_fbdev drm_fbdev_shmem_setup
#else
#define set_up_fbdev drm_fbdev_generic_setup
#endif
#include <linux/io.h>
#include <linux/iosys-map.h>
#include <linux/module.h>

#include "standin_kms.h"

#define MEMORY_BAR	0
#define REGISTER_BAR	2

#define PORT_ATTRIBUTE	0x400	/* 3c0h */
#define PORT_MISC	0x402	/* 3c2h */
#define PORT_STATUS	0x41a	/* 3dah */
#define ATTRIBUTE_SHOW	0x20
#define MISC_COLOUR	0x01

#define MODE(register)	(0x500 + 2 * (register))
#define MODE_WIDTH	MODE(1)
#define MODE_HEIGHT	MODE(2)
#define MODE_DEPTH	MODE(3)
#define MODE_ENABLE	MODE(4)
#define MODE_LINE	MODE(6)
#define MODE_X		MODE(8)
#define MODE_Y		MODE(9)
#define ENABLE_LINEAR	0x41

#define BITS_PER_PIXEL	32
#define BYTES_PER_PIXEL	4
#define PREFERRED_WIDTH	1280
#define PREFERRED_HEIGHT 800
#define LARGEST		4096

struct standin_kms {
	struct drm_simple_display_pipe pipe;
	struct drm_connector connector;
	void __iomem *memory;
	void __iomem *registers;
	size_t size;
};

static const u32 formats[] = { DRM_FORMAT_XRGB8888 };

static struct standin_kms *of_pipe(struct drm_simple_display_pipe *pipe)
{
	return container_of(pipe, struct standin_kms, pipe);
}

static void put_mode(struct standin_kms *kms, unsigned int where, u16 value)
{
	iowrite16(value, kms->registers + where);
}

/*
 * The attribute port takes an index and a value in turns. Reading the status,
 * which is there in colour mode only, makes the next write an index.
 */
static void show(struct standin_kms *kms)
{
	iowrite8(MISC_COLOUR, kms->registers + PORT_MISC);
	ioread8(kms->registers + PORT_STATUS);
	iowrite8(ATTRIBUTE_SHOW, kms->registers + PORT_ATTRIBUTE);
}

static void set_mode(struct standin_kms *kms, const struct drm_display_mode *m)
{
	put_mode(kms, MODE_ENABLE, 0);
	put_mode(kms, MODE_WIDTH, m->hdisplay);
	put_mode(kms, MODE_HEIGHT, m->vdisplay);
	put_mode(kms, MODE_DEPTH, BITS_PER_PIXEL);
	put_mode(kms, MODE_LINE, m->hdisplay);
	put_mode(kms, MODE_X, 0);
	put_mode(kms, MODE_Y, 0);
	put_mode(kms, MODE_ENABLE, ENABLE_LINEAR);
	show(kms);
}

static void draw(struct standin_kms *kms, struct drm_plane_state *state,
		 const struct drm_rect *where)
{
	struct drm_shadow_plane_state *shadow = to_drm_shadow_plane_state(state);
	struct drm_framebuffer *fb = state->fb;
	unsigned int pitch = drm_rect_width(&state->dst) * BYTES_PER_PIXEL;
	struct iosys_map to = IOSYS_MAP_INIT_VADDR_IOMEM(kms->memory);

	iosys_map_incr(&to, drm_fb_clip_offset(pitch, fb->format, where));
	drm_fb_memcpy(&to, &pitch, shadow->data, fb, where);
}

static enum drm_mode_status
pipe_mode_valid(struct drm_simple_display_pipe *pipe,
		const struct drm_display_mode *mode)
{
	size_t needed = (size_t)mode->hdisplay * mode->vdisplay * BYTES_PER_PIXEL;

	return needed > of_pipe(pipe)->size ? MODE_MEM : MODE_OK;
}

static void pipe_enable(struct drm_simple_display_pipe *pipe,
			struct drm_crtc_state *crtc,
			struct drm_plane_state *plane)
{
	struct standin_kms *kms = of_pipe(pipe);
	int idx;

	if (!drm_dev_enter(pipe->crtc.dev, &idx))
		return;
	set_mode(kms, &crtc->mode);
	draw(kms, plane, &plane->dst);
	drm_dev_exit(idx);
}

static void pipe_disable(struct drm_simple_display_pipe *pipe)
{
	int idx;

	if (!drm_dev_enter(pipe->crtc.dev, &idx))
		return;
	put_mode(of_pipe(pipe), MODE_ENABLE, 0);
	drm_dev_exit(idx);
}

static void pipe_update(struct drm_simple_display_pipe *pipe,
			struct drm_plane_state *old)
{
	struct drm_plane_state *state = pipe->plane.state;
	struct drm_rect changed;
	int idx;

	if (!drm_atomic_helper_damage_merged(old, state, &changed))
		return;
	if (!drm_dev_enter(pipe->crtc.dev, &idx))
		return;
	draw(of_pipe(pipe), state, &changed);
	drm_dev_exit(idx);
}

static const struct drm_simple_display_pipe_funcs pipe_funcs = {
	.mode_valid = pipe_mode_valid,
	.enable = pipe_enable,
	.disable = pipe_disable,
	.update = pipe_update,
	DRM_GEM_SIMPLE_DISPLAY_PIPE_SHADOW_PLANE_FUNCS,
};

static int connector_modes(struct drm_connector *connector)
{
	int found = drm_add_modes_noedid(connector, LARGEST, LARGEST);

	drm_set_preferred_mode(connector, PREFERRED_WIDTH, PREFERRED_HEIGHT);
	return found;
}

static const struct drm_connector_helper_funcs connector_helpers = {
	.get_modes = connector_modes,
};

static const struct drm_connector_funcs connector_funcs = {
	.reset = drm_atomic_helper_connector_reset,
	.fill_modes = drm_helper_probe_single_connector_modes,
	.destroy = drm_connector_cleanup,
	.atomic_duplicate_state = drm_atomic_helper_connector_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_connector_destroy_state,
};

static const struct drm_mode_config_funcs config_funcs = {
	.fb_create = drm_gem_fb_create_with_dirty,
	.atomic_check = drm_atomic_helper_check,
	.atomic_commit = drm_atomic_helper_commit,
};

static int make_screen(struct drm_device *drm, struct standin_kms *kms)
{
	int err = drmm_mode_config_init(drm);

	if (err)
		return err;
	drm->mode_config.max_width = LARGEST;
	drm->mode_config.max_height = LARGEST;
	drm->mode_config.preferred_depth = 24;
	drm->mode_config.funcs = &config_funcs;

	drm_connector_helper_add(&kms->connector, &connector_helpers);
	err = drm_connector_init(drm, &kms->connector, &connector_funcs,
				 DRM_MODE_CONNECTOR_VIRTUAL);
	if (err)
		return err;
	err = drm_simple_display_pipe_init(drm, &kms->pipe, &pipe_funcs,
					   formats, ARRAY_SIZE(formats), NULL,
					   &kms->connector);
	if (err)
		return err;
	drm_plane_enable_fb_damage_clips(&kms->pipe.plane);
	drm_mode_config_reset(drm);
	return 0;
}

static void unmap(struct pci_dev *pdev, struct standin_kms *kms)
{
	if (kms->memory)
		pci_iounmap(pdev, kms->memory);
	if (kms->registers)
		pci_iounmap(pdev, kms->registers);
}

static int map(struct pci_dev *pdev, struct standin_kms *kms)
{
	kms->size = pci_resource_len(pdev, MEMORY_BAR);
	kms->memory = pci_iomap_wc(pdev, MEMORY_BAR, 0);
	kms->registers = pci_iomap(pdev, REGISTER_BAR, 0);
	if (kms->memory && kms->registers)
		return 0;
	unmap(pdev, kms);
	return -ENOMEM;
}

static int start(struct drm_device *drm, struct pci_dev *pdev)
{
	struct standin_kms *kms = drmm_kzalloc(drm, sizeof(*kms), GFP_KERNEL);
	int err;

	if (!kms)
		return -ENOMEM;
	drm->dev_private = kms;
	err = map(pdev, kms);
	if (err)
		return err;
	err = make_screen(drm, kms);
	if (!err)
		err = drm_dev_register(drm, 0);
	if (err)
		unmap(pdev, kms);
	return err;
}

struct drm_device *standin_kms_add(const struct drm_driver *driver,
				   struct pci_dev *pdev, bool fbdev)
{
	struct drm_device *drm = drm_dev_alloc(driver, &pdev->dev);
	int err;

	if (IS_ERR(drm))
		return drm;
	err = start(drm, pdev);
	if (err) {
		drm_dev_put(drm);
		return ERR_PTR(err);
	}
	if (fbdev)
		set_up_fbdev(drm, BITS_PER_PIXEL);
	return drm;
}
EXPORT_SYMBOL_GPL(standin_kms_add);

void standin_kms_remove(struct drm_device *drm)
{
	struct standin_kms *kms = drm->dev_private;

	/* while the registers can still be reached: the screen goes dark */
	drm_atomic_helper_shutdown(drm);
	drm_dev_unplug(drm);
	unmap(to_pci_dev(drm->dev), kms);
	drm_dev_put(drm);
}
EXPORT_SYMBOL_GPL(standin_kms_remove);

MODULE_DESCRIPTION("Stand-in for tests: a screen on QEMU's VGA");
MODULE_LICENSE("GPL");
