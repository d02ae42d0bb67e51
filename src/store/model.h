/*
 * model.h
 *	  Versions of a model: storing one as chunks, reading one back, deploying.
 */
#ifndef RLREC_MODEL_H
#define RLREC_MODEL_H

#include "datatype/timestamp.h"
#include "learner/learner.h"
#include "store/agent.h"

/* A row of rlrec.model. */
typedef struct RlrecModelRow
{
	int64		id;				/* never used again, also after a rollback */
	int64		agent;
	int32		version;
	char	   *learner;
	uint64		length;			/* bytes of the image */
	int			n_chunks;
	int64	   *chunks;			/* [n_chunks] rlrec.chunk.id */
	Jsonb	   *options;		/* with which it was trained; NULL for none */
} RlrecModelRow;

/* NULL when the current snapshot has no such version. */
extern RlrecModelRow *rlrec_model_row(int64 id);

/* A version of the agent; an error when the current snapshot has none. */
extern RlrecModelRow *rlrec_model_find(const RlrecAgent *agent, int32 version);

/* The version in int argument n; an error when it is NULL. */
extern int32 rlrec_version_argument(FunctionCallInfo fcinfo, int n);

/* Seconds from the training of a version to the current statement */
extern double rlrec_model_age(int64 id);

/* When the training of a version had ended: decisions from then on are news to it. */
extern TimestampTz rlrec_model_trained_at(const RlrecModelRow *row);

/* Copies the chunks to image [row->length]; errors when a chunk is missing or damaged. */
extern void rlrec_model_read(const RlrecModelRow *row, char *image);

/* Stores a new version; returns its id and sets *version. SPI must be connected, the agent locked, its owner's rights checked. */
extern int64 rlrec_model_store(const RlrecAgent *agent, const RlrecModel *model, Jsonb *metrics, double seconds, int32 *version);

/*
 * Makes a version the one that serves, which changes nothing where it does, and deletes the oldest beyond what the option `versions` keeps, but for
 * the one before it. SPI must be connected.
 */
extern void rlrec_model_deploy(const RlrecAgent *agent, int64 model);
extern void rlrec_model_trim(const RlrecAgent *agent);

typedef struct RlrecDeployment
{
	int64		model;
	int32		version;
	TimestampTz since;			/* when the version that serves was deployed */
} RlrecDeployment;

/* The version that serves, and the one that served before it; false when there is none that is kept. SPI must be connected. */
extern bool rlrec_model_deployments(const RlrecAgent *agent, RlrecDeployment *serving, RlrecDeployment *before);

/* Takes the last deployment back; returns the version that serves again, 0 when there is no earlier one that is kept. SPI must be connected. */
extern int32 rlrec_model_rollback(const RlrecAgent *agent);

#endif							/* RLREC_MODEL_H */
