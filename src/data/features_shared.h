/*
 * features_shared.h
 *	  What items have in common, in words.
 */
#ifndef RLREC_FEATURES_SHARED_H
#define RLREC_FEATURES_SHARED_H

/*
 * A phrase like "genres: Comedy (8 of 10), Romance (6 of 10); year: 1990 - 1995 (7 of 10)" of at most five features that at least half of
 * the distinct ids and at least two share, the most shared first; palloc'd, NULL when there is none. For the caller to do, and errors:
 * as with rlrec_features_read(); every id must be one that the id column can hold.
 */
extern char *rlrec_features_shared(Oid items, const char *id_column, int n, const char *const *ids);

#endif							/* RLREC_FEATURES_SHARED_H */
