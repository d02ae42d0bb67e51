/*
 * session.h
 *	  A user's events as episodes.
 *
 * A session is a run of events with no gap longer than RlrecEvents.session; every event counts for it, whatever its reward. Its end
 * truncates the episode, as the user will be back; it does not terminate it: learners bootstrap from the state after its last event.
 */
#ifndef RLREC_SESSION_H
#define RLREC_SESSION_H

/*
 * Where the session that starts with event `from` ends: the first event of the next one, at most `end`. time[] ascends. To walk over
 * all of a user's: for (from = start; from < end; from = to) { to = rlrec_session_end(time, from, end, gap); ... }
 */
static inline int64
rlrec_session_end(const int64 *time, int64 from, int64 end, int64 gap)
{
	int64		to = from + 1;

	while (to < end && (gap == 0 || time[to] - time[to - 1] <= gap))
		to++;
	return Min(to, end);
}

#endif							/* RLREC_SESSION_H */
