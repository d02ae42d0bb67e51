/*
 * state_key.h
 *	  What names a user's state to a tabular learner: his id, or the value of option "expression".
 */
#ifndef RLREC_STATE_KEY_H
#define RLREC_STATE_KEY_H

#include "store/agent.h"

/* Raises an error unless the option, where the learner uses it, is a query's expression with no parameter but $1. */
extern void rlrec_state_key_check(const RlrecAgent *agent);

/* One user's, palloc'd; none where the expression is NULL. */
extern RlrecKey rlrec_state_key_read(const RlrecAgent *agent, const char *user);

/* Those of all users, which are left NULL where they are the ids. */
extern void rlrec_state_keys_read(const RlrecAgent *agent, RlrecEvents *events);

#endif							/* RLREC_STATE_KEY_H */
