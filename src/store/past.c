/*
 * past.c
 *	  What came before a training of an agent: the version that serves, and how far an interrupted training came.
 *
 * A training is one transaction, which its end in error undoes; how far it came is therefore kept in a file, one an agent, in the server's
 * directory for temporary statistics, which no base backup copies. A file that is torn, because the system crashed, fails its CRC and
 * counts as none; that one could not be written is a warning. It is only a short cut: a training without it comes to the same end.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "store/cache.h"
#include "store/past.h"

typedef struct Past
{
	RlrecPast	base;
	const RlrecAgent *agent;
	const RlrecModel *model;	/* NULL until it is asked for */
} Past;

/* The agent's file; suffix is "" or that of the one being written. Neither OID nor id alone is never used again. */
static char *
file_path(const RlrecAgent *agent, const char *suffix)
{
	return psprintf("%s/rlrec_%u_%u_%lld.checkpoint%s", PG_STAT_TMP_DIR, MyDatabaseId, agent->anchor, (long long) agent->id, suffix);
}

static const RlrecModel *
deployed(RlrecPast *base)
{
	Past	   *past = (Past *) base;

	if (past->model == NULL && past->agent->deployed != 0)
		past->model = rlrec_cache_model(past->agent);
	return past->model;
}

/* ---------------------------------------------------------------- the file */

typedef struct Writer
{
	int			file;
	int			error;			/* errno of what went wrong first, 0 for nothing */
} Writer;

static void
write_piece(void *argument, const void *bytes, size_t length)
{
	Writer	   *writer = argument;
	const char *at = bytes;

	while (length > 0 && writer->error == 0)
	{
		ssize_t		written;

		errno = 0;
		written = write(writer->file, at, Min(length, 1024 * 1024));
		if (written <= 0)
			writer->error = errno != 0 ? errno : ENOSPC;
		else
		{
			at += written;
			length -= written;
		}
		CHECK_FOR_INTERRUPTS();
	}
}

static void
save(RlrecPast *base, const RlrecTensors *tensors)
{
	const RlrecAgent *agent = ((Past *) base)->agent;
	char	   *path = file_path(agent, "");
	char	   *new_path = file_path(agent, ".new");
	Writer		writer = {OpenTransientFile(new_path, O_CREAT | O_TRUNC | O_WRONLY | PG_BINARY), 0};

	if (writer.file < 0)
		writer.error = errno;
	else
	{
		rlrec_image_write(tensors, write_piece, &writer);
		if (CloseTransientFile(writer.file) != 0 && writer.error == 0)
			writer.error = errno;
	}
	if (writer.error == 0 && rename(new_path, path) != 0)
		writer.error = errno;
	if (writer.error != 0)
	{
		(void) unlink(new_path);
		errno = writer.error;
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", new_path),
				 errdetail("The training goes on; if it is interrupted, it will have to start again."),
				 errhint("Option \"checkpoint\": 0 writes none.")));
	}
	pfree(path);
	pfree(new_path);
}

/* The file's bytes, aligned; NULL when there is none of at most so many that can be read. */
static char *
read_file(const char *path, Size most, uint64 *length)
{
	int			file = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat status;
	char	   *bytes = NULL;

	if (file < 0)
		return NULL;
	if (fstat(file, &status) == 0 && (Size) status.st_size > most)
		ereport(NOTICE,
				(errmsg("the checkpoint of an interrupted training is passed over"),
				 errdetail("It takes %zu MB more than maintenance_work_mem leaves.", ((Size) status.st_size - most) / (1024 * 1024) + 1)));
	else if (status.st_size > 0)
	{
		ssize_t		got = 1;

		bytes = MemoryContextAllocHuge(CurrentMemoryContext, add_size(status.st_size, 64));
		bytes = (char *) TYPEALIGN(64, bytes);
		for (*length = 0; got > 0 && *length < (uint64) status.st_size; *length += Max(got, 0))
		{
			got = read(file, bytes + *length, Min((uint64) status.st_size - *length, 1024 * 1024));
			CHECK_FOR_INTERRUPTS();
		}
	}
	CloseTransientFile(file);
	return bytes;
}

static RlrecTensors *
load(RlrecPast *base, Size most)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *path = file_path(((Past *) base)->agent, "");
	uint64		length = 0;
	char	   *bytes = read_file(path, most, &length);
	RlrecTensors *volatile tensors = NULL;

	if (bytes == NULL)
		return NULL;
	PG_TRY();
	{
		tensors = rlrec_image_open(bytes, length, true);
	}
	PG_CATCH();
	{
		/* The check allocates and locks nothing, so this is all there is to undo. */
		if (geterrcode() != ERRCODE_DATA_CORRUPTED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return tensors;
}

/* ---------------------------------------------------------------- */

RlrecPast *
rlrec_past_open(const RlrecAgent *agent)
{
	Past	   *past = palloc0(sizeof(Past));

	past->base.deployed = deployed;
	past->base.load = load;
	past->base.save = save;
	past->agent = agent;
	return &past->base;
}

void
rlrec_past_close(RlrecPast *base)
{
	Past	   *past = (Past *) base;

	if (past->model != NULL)
		rlrec_cache_release(past->model);
	pfree(past);
}

void
rlrec_past_forget(const RlrecAgent *agent)
{
	char	   *path = file_path(agent, "");
	char	   *new_path = file_path(agent, ".new");

	(void) unlink(path);
	(void) unlink(new_path);
	pfree(path);
	pfree(new_path);
}
