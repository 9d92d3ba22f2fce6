/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * A window of a domain's addresses for MSI doorbells. Where interrupts are writes that
 * the IOMMU translates like any other (Arm, RISC-V), the page of the interrupt
 * controller that a device writes to wants an address of its own: each doorbell gets a
 * page of the window while anybody uses it.
 *
 *     iova_msi_window_create
 *     iova_msi_get             the doorbell's address: what goes into a device's MSI registers
 *     (the device interrupts)
 *     iova_msi_put             once for each get
 *     iova_msi_window_destroy
 *
 * A window of hardware's own (IOVA_RESV_MSI: x86) is another thing: it wants no mapping,
 * is only kept free, and no page of it is ever handed out here or by the domain.
 *
 * Context: any thread, any number at once, for any devices of the domain. Every call may
 * sleep. No lock is held while the backend is called.
 */
#ifndef IOVA_MSI_H
#define IOVA_MSI_H

#include <iova/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iova_msi_window;

/* All zero but struct_size is a valid configuration. */
struct iova_msi_config {
	size_t struct_size;	   /* sizeof(struct iova_msi_config) */
	struct iova_extent window; /* whole pages of the backend's smallest size; 0,0: the lowest IOVA_RESV_SW_MSI
				    * reservation of the domain's space that has a whole page, rounded inwards */
};

/*
 * The window is reserved in the domain's space as IOVA_RESV_SW_MSI, with the window as owner,
 * until its destroy. So it stays when a device leaves from whose regions it was learnt.
 *
 * INVAL: config is NULL, a struct_size too small, a window that is not as said above. NOTSUP:
 * a larger struct with a non-zero tail. NOENT: no such reservation. OVERFLOW: the window leaves
 * the backend's aperture. ADDRINUSE: a live range lies in it. NOMEM.
 */
int iova_msi_window_create(const struct iova_msi_config *config, struct iova_dma_domain *domain,
			   struct iova_msi_window **window);

/* Before the domain's destroy. BUSY: not every get was put. The backend's error where a page
 * still cannot be invalidated (see iova_msi_put); the window is then as it was, and this can be
 * tried again. NULL is fine. */
int iova_msi_window_destroy(struct iova_msi_window *window);
/* Frees the records, touches neither backend nor space: where iova_dma_domain_abandon is
 * called, before it. NULL is fine. */
void iova_msi_window_abandon(struct iova_msi_window *window);

/*
 * Where devices of the domain write to reach doorbell, any byte of an interrupt controller's
 * page as the backend's source (a physical address): *iova carries its offset within the page.
 * The page is mapped with IOVA_WRITE | IOVA_MMIO. All doorbells of a page share one address, and
 * each get of them counts. A page that meets a reservation of any type but IOVA_RESV_SW_MSI is
 * not handed out.
 *
 * NOSPC: no page is left. QUOTA: no entry of the backend's budget is, which these pages count
 * in as the domain's mappings do; nothing was mapped. NOMEM; what the backend returns. On an
 * error nothing is mapped, or what is mapped is never handed out.
 */
int iova_msi_get(struct iova_msi_window *window, uint64_t doorbell, uint64_t *iova);

/*
 * Takes one get back; iova as it was given, or any byte of its page. At the last of a page it
 * is unmapped, and handed out again once that is invalidated.
 *
 * NOENT: nobody has it. The backend's error: the get is taken back all the same, and the page
 * stays out of use; a get that finds no other page or no entry, and destroy, try it again.
 */
int iova_msi_put(struct iova_msi_window *window, uint64_t iova);

#ifdef __cplusplus
}
#endif

#endif
