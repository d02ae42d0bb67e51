/*
 * schedule.h
 *	  Jobs of pg_cron.
 */
#ifndef RLREC_SCHEDULE_H
#define RLREC_SCHEDULE_H

/* Removes the jobs of an agent in this database, whoever made them; command NULL means all. Returns how many. SPI must be connected. */
extern int	rlrec_schedule_remove(int64 agent, const char *command);

#endif							/* RLREC_SCHEDULE_H */
