/*
 * mlp.h
 *	  A multilayer perceptron: dense layers with biases, each but the last followed by an activation.
 */
#ifndef RLREC_MLP_H
#define RLREC_MLP_H

#include "tensor/activation.h"

#define RLREC_MLP_MAX_LAYERS 8

typedef struct RlrecMlpShape
{
	int			layers;			/* matrices */
	int			width[RLREC_MLP_MAX_LAYERS + 1];	/* of the input, of each layer's output */
	RlrecMlpActivation activation;
} RlrecMlpShape;

/* Numbers in all weights: layer by layer the matrix (in,out), then the bias[out]. */
extern size_t rlrec_mlp_parameters(const RlrecMlpShape *shape);

/*
 * He's initialisation (He et al. 2015) for relu, orthogonal (Saxe et al. 2014) for tanh, with gain sqrt(2) but for the last layer, whose
 * gain is `last`; biases 0.
 */
extern void rlrec_mlp_initialize(const RlrecMlpShape *shape, uint64 key, real last, real *parameters);

/* Numbers of workspace for n rows. */
extern size_t rlrec_mlp_workspace(const RlrecMlpShape *shape, int n);

/*
 * The last layer's output (n,out), in the workspace, of x (n,in). Up to RLREC_MLP_FEW rows need no library: that is serving. For more, and
 * for the backward pass, rlrec_blas_load() must have been called.
 */
#define RLREC_MLP_FEW 4
extern real *rlrec_mlp_forward(const RlrecMlpShape *shape, const real *parameters, int n, const real *x, real *workspace);

/*
 * From the gradient dy (n,out) of the last output, after a forward pass in the same workspace: adds to gradient[parameters]; dx (n,in) =
 * the gradient of x, unless NULL. The outputs of all layers stay as they are; dy may be the last one's place.
 */
extern void rlrec_mlp_backward(const RlrecMlpShape *shape, const real *parameters, int n, const real *x, real *workspace,
							   const real *dy, real *gradient, real *dx);

#endif							/* RLREC_MLP_H */
