/*
 * cache.c
 *	  Models ready to serve.
 *
 * A version never changes and its id is never used again, so a cached image is never wrong and nothing has to be invalidated: each call
 * reads the deployed id from the agent's row under its own snapshot and asks the cache for that id.
 *
 * Where the library is preloaded (or PostgreSQL 17 lends its DSM registry), images live once in dynamic shared memory, one segment each, found
 * through a small table in shared memory; the least recently used goes when rlrec.shared_cache is full, and lives on until the last session
 * that has it mapped lets it go. Otherwise, and when /dev/shm is full, a session has a copy of its own.
 *
 * Locks: shared->lock guards the table. It is held while a segment is attached, so that it cannot vanish in between, never while an image
 * is read. An advisory lock on the id keeps many sessions from reading the same image at once; it is of a class of its own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store/cache.h"
#include "store/catalog.h"
#include "store/model.h"
#include "store/shared_memory.h"

/* Which image: ids are a sequence's of one installation of the extension in one database. */
typedef struct ImageKey
{
	Oid			database;
	Oid			installation;	/* OID of rlrec.model */
	int64		id;				/* rlrec.model.id */
} ImageKey;

#define SHARED_IMAGES 256

typedef struct SharedImage
{
	ImageKey	key;			/* id 0: a free place */
	dsm_handle	handle;
	uint64		length;
	TimestampTz used;
} SharedImage;

typedef struct SharedCache
{
	LWLock		lock;
	int			tranche;
	SharedImage images[SHARED_IMAGES];
} SharedCache;

/* An image that this session has mapped or copied. */
#define LOCAL_IMAGES 8

typedef struct LocalImage
{
	ImageKey	key;			/* id 0: a free place */
	dsm_segment *segment;		/* NULL for a private copy */
	MemoryContext context;		/* of the model, and of a private copy */
	const RlrecModel *model;
	uint64		used;			/* the larger, the more recent */
} LocalImage;

static LocalImage local_images[LOCAL_IMAGES];
static uint64 uses = 0;

/* The calls that are using an image, innermost last: a candidates view may itself recommend. */
typedef struct Pin
{
	LocalImage *image;
	int			level;			/* of the (sub)transaction, whose abort ends the call */
} Pin;

#define MAX_PINS 64

static Pin	pins[MAX_PINS];
static int	n_pins = 0;
static SharedCache *shared = NULL;
static int	shared_cache_mb = 1024;

/* ---------------------------------------------------------------- start-up */

static void
init_shared(void *pointer)
{
	SharedCache *cache = pointer;

	memset(cache, 0, sizeof(*cache));
	cache->tranche = LWLockNewTrancheId();
	LWLockInitialize(&cache->lock, cache->tranche);
}

static void
shared_memory_ready(void *memory, bool found)
{
	shared = memory;
	if (!found)
		init_shared(shared);
	LWLockRegisterTranche(shared->tranche, "rlrec");
}

/* Calls that ended in an error did not release their images. */
static void
end_transaction(XactEvent event pg_attribute_unused(), void *argument pg_attribute_unused())
{
	n_pins = 0;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId id pg_attribute_unused(), SubTransactionId parent pg_attribute_unused(),
				   void *argument pg_attribute_unused())
{
	while (event == SUBXACT_EVENT_ABORT_SUB && n_pins > 0 && pins[n_pins - 1].level >= GetCurrentTransactionNestLevel())
		n_pins--;
}

void
rlrec_cache_init(void)
{
	DefineCustomIntVariable("rlrec.shared_cache", "Memory for models that sessions share.",
							"Needs shared_preload_libraries = 'rlrec'. 0 gives each session a copy of its own.",
							&shared_cache_mb, 1024, 0, INT_MAX / 1024, PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
	if (process_shared_preload_libraries_in_progress)
		rlrec_shared_memory_reserve("rlrec", sizeof(SharedCache), shared_memory_ready);
}

static bool
have_shared(void)
{
	if (shared == NULL)
	{
		shared = rlrec_named_dsm("rlrec", sizeof(SharedCache), init_shared);
		if (shared)
			LWLockRegisterTranche(shared->tranche, "rlrec");
	}
	return shared != NULL && shared_cache_mb > 0;
}

/* ---------------------------------------------------------------- shared images */

static bool
same_key(const ImageKey *a, const ImageKey *b)
{
	return a->id == b->id && a->database == b->database && a->installation == b->installation;
}

static SharedImage *
find_shared(const ImageKey *key)
{
	for (int i = 0; i < SHARED_IMAGES; i++)
		if (shared->images[i].key.id != 0 && same_key(&shared->images[i].key, key))
			return &shared->images[i];
	return NULL;
}

/* Attaches the shared image; NULL when it is not there. */
static dsm_segment *
attach_shared(const ImageKey *key, uint64 *length)
{
	SharedImage *image;
	dsm_segment *segment = NULL;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	image = find_shared(key);
	if (image)
	{
		segment = dsm_attach(image->handle);
		*length = image->length;
		image->used = GetCurrentTimestamp();
	}
	LWLockRelease(&shared->lock);
	return segment;
}

/* Frees places until length bytes fit; NULL when they never do. The lock is held. */
static SharedImage *
make_room(uint64 length)
{
	uint64		limit = (uint64) shared_cache_mb * 1024 * 1024;

	if (length > limit)
		return NULL;
	for (;;)
	{
		SharedImage *oldest = NULL;
		SharedImage *place = NULL;
		uint64		total = 0;

		for (int i = 0; i < SHARED_IMAGES; i++)
		{
			SharedImage *image = &shared->images[i];

			if (image->key.id == 0)
			{
				place = image;
				continue;
			}
			total += image->length;
			if (oldest == NULL || image->used < oldest->used)
				oldest = image;
		}
		if (place && total + length <= limit)
			return place;
		dsm_unpin_segment(oldest->handle);
		oldest->key.id = 0;
	}
}

/*
 * A segment of that size; NULL when none can be had, in which case dsm_create() raises an error that is only worth a line in the log. What it
 * leaves half made is a resource owner's that goes with it.
 */
static dsm_segment *
create_segment(uint64 length)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner outer = CurrentResourceOwner;
	ResourceOwner inner = ResourceOwnerCreate(outer, "rlrec segment");
	dsm_segment *volatile segment = NULL;

	PG_TRY();
	{
		CurrentResourceOwner = inner;
		segment = dsm_create(length, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		CurrentResourceOwner = outer;
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(LOG,
				(errmsg("could not share a model of %llu MB: %s", (unsigned long long) (length / (1024 * 1024)), error->message),
				 errhint("Enlarge /dev/shm or lower rlrec.shared_cache.")));
		segment = NULL;
	}
	PG_END_TRY();

	/* The segment is the outer owner's from here on. */
	CurrentResourceOwner = outer;
	if (segment)
	{
		dsm_pin_mapping(segment);
		dsm_unpin_mapping(segment);
	}
	ResourceOwnerRelease(inner, RESOURCE_RELEASE_BEFORE_LOCKS, segment != NULL, false);
	ResourceOwnerRelease(inner, RESOURCE_RELEASE_LOCKS, segment != NULL, false);
	ResourceOwnerRelease(inner, RESOURCE_RELEASE_AFTER_LOCKS, segment != NULL, false);
	ResourceOwnerDelete(inner);
	return segment;
}

/* Makes a filled segment known to other sessions. */
static void
publish_segment(const ImageKey *key, dsm_segment *segment, uint64 length)
{
	SharedImage *place;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	place = find_shared(key) ? NULL : make_room(length);
	if (place)
	{
		dsm_pin_segment(segment);
		place->key = *key;
		place->handle = dsm_segment_handle(segment);
		place->length = length;
		place->used = GetCurrentTimestamp();
	}
	LWLockRelease(&shared->lock);
}

/* ---------------------------------------------------------------- this session's images */

static void
forget_local(LocalImage *image)
{
	MemoryContextDelete(image->context);
	if (image->segment)
		dsm_detach(image->segment);
	memset(image, 0, sizeof(*image));
}

pg_noreturn static void
too_deep(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many recommendations are nested in each other"),
			 errdetail("%d calls that use a model have not ended.", n_pins),
			 errhint("Look for candidates views, or policies on events, that recommend themselves.")));
}

static bool
is_pinned(const LocalImage *image)
{
	for (int i = 0; i < n_pins; i++)
		if (pins[i].image == image)
			return true;
	return false;
}

/* A free place; images in use stay. */
static LocalImage *
free_place(void)
{
	LocalImage *oldest = NULL;

	for (int i = 0; i < LOCAL_IMAGES; i++)
	{
		if (local_images[i].key.id == 0)
			return &local_images[i];
		if (!is_pinned(&local_images[i]) && (oldest == NULL || local_images[i].used < oldest->used))
			oldest = &local_images[i];
	}
	if (oldest == NULL)
		too_deep();
	forget_local(oldest);
	return oldest;
}

static void
lock_tag(LOCKTAG *tag, const ImageKey *key)
{
	SET_LOCKTAG_ADVISORY(*tag, key->database, (uint32) (key->id >> 32) ^ key->installation, (uint32) key->id, 0x726c);
}

/* Reads the image, into shared memory where that is possible, else into context; sets *segment accordingly. */
static char *
read_image(const RlrecModelRow *row, MemoryContext context, dsm_segment **segment)
{
	char	   *image;

	*segment = have_shared() && row->length <= (uint64) shared_cache_mb * 1024 * 1024 ? create_segment(row->length) : NULL;
	if (*segment)
		image = dsm_segment_address(*segment);
	else
	{
		char	   *block = MemoryContextAllocHuge(context, row->length + 64);

		image = (char *) TYPEALIGN(64, block);
	}
	rlrec_model_read(row, image);
	return image;
}

static const RlrecModel *
load(const RlrecAgent *agent, const ImageKey *key, LocalImage *place)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec model", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	RlrecModelRow *row = rlrec_model_row(key->id);
	const RlrecLearner *learner;
	dsm_segment *segment = NULL;
	uint64		length = 0;
	char	   *image;
	LOCKTAG		tag;
	const RlrecModel *model;

	if (row == NULL)
		elog(ERROR, "version %lld of agent \"%s\" is missing", (long long) key->id, agent->name);
	learner = rlrec_learner_find(row->learner);
	if (learner == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("version %d of agent \"%s\" is of learner \"%s\", which this library does not have", row->version, agent->name,
						row->learner),
				 errhint("Install the version of rlrec that trained it, or train again.")));

	if (have_shared())
		segment = attach_shared(key, &length);
	if (segment == NULL)
	{
		lock_tag(&tag, key);
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
		if (have_shared())
			segment = attach_shared(key, &length);
		if (segment == NULL)
		{
			image = read_image(row, context, &segment);
			/* The checks are done once, by whoever reads the image. */
			(void) rlrec_image_open(image, row->length, true);
			if (segment)
				publish_segment(key, segment, row->length);
		}
		else
			image = dsm_segment_address(segment);
		LockRelease(&tag, ExclusiveLock, false);
	}
	else
		image = dsm_segment_address(segment);

	model = rlrec_model_open(learner, rlrec_image_open(image, row->length, false));
	MemoryContextSwitchTo(old);

	/* Nothing can fail from here on: the session keeps the image. */
	if (segment)
		dsm_pin_mapping(segment);
	MemoryContextSetParent(context, TopMemoryContext);
	place->key = *key;
	place->segment = segment;
	place->context = context;
	place->model = model;
	return model;
}

const RlrecModel *
rlrec_cache_model(const RlrecAgent *agent)
{
	ImageKey	key;
	LocalImage *place = NULL;

	if (agent->deployed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("agent \"%s\" has no trained model yet", agent->name),
				 errhint("Run SELECT * FROM rlrec_train(%s), or deploy a version that rlrec.models lists.",
						 quote_literal_cstr(agent->name))));
	key.database = MyDatabaseId;
	key.installation = rlrec_catalog_relation("model");
	key.id = agent->deployed;
	for (int i = 0; i < LOCAL_IMAGES && place == NULL; i++)
		if (local_images[i].key.id != 0 && same_key(&local_images[i].key, &key))
			place = &local_images[i];
	if (place == NULL)
	{
		place = free_place();
		load(agent, &key, place);
	}
	if (n_pins == MAX_PINS)
		too_deep();
	pins[n_pins].image = place;
	pins[n_pins++].level = GetCurrentTransactionNestLevel();
	place->used = ++uses;
	return place->model;
}

void
rlrec_cache_release(const RlrecModel *model)
{
	if (n_pins == 0 || pins[n_pins - 1].image->model != model)
		elog(ERROR, "a model is released that was not the last to be taken");
	n_pins--;
}
