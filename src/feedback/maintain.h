/*
 * maintain.h
 *	  What is to be done for an attached agent from time to time.
 */
#ifndef RLREC_MAINTAIN_H
#define RLREC_MAINTAIN_H

#include "store/agent.h"

/*
 * Runs about once a minute while the database has a worker, in a transaction of its own that the caller commits, as superuser: what may run the
 * owner's code takes his role. Repeated where it fails.
 */
extern void rlrec_maintain(const RlrecAgent *agent);

#endif							/* RLREC_MAINTAIN_H */
