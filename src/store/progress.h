/*
 * progress.h
 *	  What a training is doing, as rlrec.training_progress shows it.
 */
#ifndef RLREC_PROGRESS_H
#define RLREC_PROGRESS_H

/* From here until rlrec_progress_end(), or the end of the transaction, rlrec_progress() calls are shown as this agent's. training is false of an evaluation. */
extern void rlrec_progress_start(Oid anchor, bool training);
extern void rlrec_progress_end(void);

/* The process that trains the agent of this anchor in this database, 0 when none does. */
extern int	rlrec_progress_pid(Oid anchor);

#endif							/* RLREC_PROGRESS_H */
