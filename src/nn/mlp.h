/*
 * mlp.h
 *	  A multilayer perceptron: dense layers with biases, each but the last followed by an activation.
 */
#ifndef RLREC_MLP_H
#define RLREC_MLP_H

#include "tensor/real.h"

#define RLREC_MLP_MAX_LAYERS 8

typedef enum RlrecMlpActivation
{
	RLREC_MLP_RELU,
	RLREC_MLP_TANH
} RlrecMlpActivation;

typedef struct RlrecMlpShape
{
	int			layers;			/* matrices */
	int			width[RLREC_MLP_MAX_LAYERS + 1];	/* of the input, of each layer's output */
	RlrecMlpActivation activation;
} RlrecMlpShape;

/* Numbers in all weights: layer by layer the matrix (in,out), then the bias[out]. */
extern size_t rlrec_mlp_parameters(const RlrecMlpShape *shape);

/* He's initialisation for relu, orthogonal for tanh; the last layer's weights times `last`; biases 0. */
extern void rlrec_mlp_initialize(const RlrecMlpShape *shape, uint64 key, real last, real *parameters);

/* Numbers of workspace for n rows. */
extern size_t rlrec_mlp_workspace(const RlrecMlpShape *shape, int n);

/* The last layer's output (n,out), in the workspace, of x (n,in). */
extern real *rlrec_mlp_forward(const RlrecMlpShape *shape, const real *parameters, int n, const real *x, real *workspace);

/*
 * From the gradient dy (n,out) of the last output, after a forward pass in the same workspace: adds to gradient[parameters]; dx (n,in) =
 * the gradient of x, unless NULL.
 */
extern void rlrec_mlp_backward(const RlrecMlpShape *shape, const real *parameters, int n, const real *x, real *workspace,
							   const real *dy, real *gradient, real *dx);

#endif							/* RLREC_MLP_H */
