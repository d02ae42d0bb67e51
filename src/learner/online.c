/*
 * online.c
 *	  What learners that learn while they act share.
 */
#include "postgres.h"

#include "learner/online.h"

float *
rlrec_online_tensor(const RlrecOnline *online, const char *name, size_t n)
{
	const RlrecTensor *tensor = rlrec_tensors_find(online->tensors, name);

	if (tensor == NULL || tensor->dtype != RLREC_F32 || rlrec_tensor_elements(tensor) != (int64) n)
		elog(ERROR, "tensor \"%s\" of learner \"%s\" is not what it should be", name, online->learner->name);
	return tensor->data;
}

int
rlrec_online_best(int n, const float *x)
{
	int			best = 0;

	for (int i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}
