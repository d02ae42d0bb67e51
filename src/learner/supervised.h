/*
 * supervised.h
 *	  What learners that train the next-item policy have in common: their options, and their training.
 */
#ifndef RLREC_SUPERVISED_H
#define RLREC_SUPERVISED_H

#include "learner/next_item.h"

#define RLREC_DROPOUT_BY_EVENTS (-1)

/* The options of the network and its training, of which `losses` are the choices of the loss */
#define RLREC_SUPERVISED_OPTIONS(losses) \
	{"length", RLREC_OPTION_INT, 200, 1, 4096, "events of a history that are looked at"}, \
	{"dimension", RLREC_OPTION_INT, 64, 4, 1024, "numbers that describe a state and an item"}, \
	{"blocks", RLREC_OPTION_INT, 2, 1, RLREC_HISTORY_MAX_BLOCKS, "layers of the transformer"}, \
	{"heads", RLREC_OPTION_INT, 1, 1, 64, "attention heads; must divide dimension"}, \
	{"hidden", RLREC_OPTION_INT, 128, 1, 8192, "width of the feed-forward network"}, \
	{"gates", RLREC_OPTION_BOOL, 1, 0, 1, "whether what a block adds is weighed by a gate"}, \
	{"gaps", RLREC_OPTION_CHOICE, 0, 0, 0, "previous, request, none"}, \
	{"dropout", RLREC_OPTION_REAL, RLREC_DROPOUT_BY_EVENTS, 0, 0.95, "share of the numbers that are left out in training; by default the less, the more events an item has"}, \
	{"modality_dropout", RLREC_OPTION_REAL, 0.2, 0, 0.95, "share of the items of a step that are known by their features alone"}, \
	{"epochs", RLREC_OPTION_INT, 100, 1, 100000, "most passes over the events"}, \
	{"patience", RLREC_OPTION_INT, 10, 1, 100000, "epochs without a better validation, after which to stop"}, \
	{"warm_start", RLREC_OPTION_CHOICE, 0, 0, 0, "none, all, new"}, \
	{"checkpoint", RLREC_OPTION_REAL, 60, 0, 1e6, "seconds of training after which it is kept how far it came; 0 for never"}, \
	{"finish", RLREC_OPTION_REAL, 0.25, 0, 1, "epochs with the users' last events, after the best epoch, as a share of those up to it"}, \
	{"minutes", RLREC_OPTION_REAL, 0, 0, 1e6, "after which to stop; 0 for never"}, \
	{"batch", RLREC_OPTION_INT, 32, 1, 100000, "histories a step"}, \
	{"learning_rate", RLREC_OPTION_REAL, 0.003, 1e-9, 1, "of AdamW"}, \
	{"weight_decay", RLREC_OPTION_REAL, 0, 0, 1, "of AdamW"}, \
	{"warmup", RLREC_OPTION_INT, 100, 0, 1000000, "steps in which the learning rate rises"}, \
	{"clip", RLREC_OPTION_REAL, 0, 0, 1e9, "longest gradient; 0 for any"}, \
	{"average", RLREC_OPTION_REAL, 0.998, 0, 0.99999, "decay of the moving average of the weights; 0 for none"}, \
	{"loss", RLREC_OPTION_CHOICE, 0, 0, 0, losses}, \
	{"negatives", RLREC_OPTION_INT, 512, 1, 65536, "items sampled for a micro-batch, unless loss is full"}, \
	{"calibration", RLREC_OPTION_REAL, 0.75, 0, 1, "of loss gbce; 0 makes it plain binary cross-entropy"}, \
	{"threads", RLREC_OPTION_INT, 0, 0, 2, "of training; 0 for one a core"}, \
	{"seed", RLREC_OPTION_INT, 1, 0, PG_INT32_MAX, "of all that is random"}, \
	{"quantize", RLREC_OPTION_CHOICE, 0, 0, 0, "none, int8"}

/* obstacle() and fit() of a learner.h; without an objective and rewards, both NULL, of `supervised` itself */
extern const char *rlrec_supervised_obstacle(const RlrecFit *fit, const RlrecObjective *objective);
extern void rlrec_supervised_fit(const RlrecFit *fit, const RlrecLearner *learner, const RlrecObjective *objective,
								 const RlrecRewards *rewards, const char *prefix, RlrecTensors *tensors);

#endif							/* RLREC_SUPERVISED_H */
