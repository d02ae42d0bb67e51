/*
 * rlrec.c
 *	  The module: its magic, and what it sets up when it is loaded.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
