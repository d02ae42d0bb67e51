/*
 * trigger.h
 *	  The trigger on an agent's events table.
 */
#ifndef RLREC_TRIGGER_H
#define RLREC_TRIGGER_H

extern void rlrec_trigger_init(void);

#endif							/* RLREC_TRIGGER_H */
