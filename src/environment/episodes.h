/*
 * episodes.h
 *	  How many episodes have ended in this transaction, written to rlrec.environment when it commits.
 */
#ifndef RLREC_EPISODES_H
#define RLREC_EPISODES_H

extern void rlrec_episodes_add(int64 agent);

/* Those that are not written yet. */
extern int64 rlrec_episodes_pending(int64 agent);

extern void rlrec_episodes_init(void);

#endif							/* RLREC_EPISODES_H */
