/*
 * compat.h
 *	  Every difference between PostgreSQL 15 and 18, in one place.
 */
#ifndef RLREC_COMPAT_H
#define RLREC_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "rlrec needs PostgreSQL 15 or newer"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#endif							/* RLREC_COMPAT_H */
