/*
 * qtable_json.h
 *	  The text form of the action values of one state.
 */
#ifndef RLREC_QTABLE_JSON_H
#define RLREC_QTABLE_JSON_H

#include "types/qtable.h"

/* Raises an error on anything that is not the text of a table. */
extern RlrecQTable *rlrec_qtable_parse(char *json);

extern char *rlrec_qtable_print(const RlrecQTable *table);

#endif							/* RLREC_QTABLE_JSON_H */
