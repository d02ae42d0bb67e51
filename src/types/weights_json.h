/*
 * weights_json.h
 *	  The text form of a set of tensors.
 */
#ifndef RLREC_WEIGHTS_JSON_H
#define RLREC_WEIGHTS_JSON_H

#include "types/weights.h"

/* Raises an error on anything that is not the text of a set. */
extern RlrecTensors *rlrec_weights_parse(char *json);

extern char *rlrec_weights_print(const RlrecTensors *tensors);

#endif							/* RLREC_WEIGHTS_JSON_H */
