/*
 * id_reader.c
 *	  Ids of any type as the bytes by which dictionaries know them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "store/id_reader.h"

void
rlrec_id_reader_init(RlrecIdReader *reader, Oid type)
{
	reader->type = type;
	if (type != INT2OID && type != INT4OID && type != INT8OID && type != TEXTOID && type != VARCHAROID && type != BPCHAROID)
	{
		Oid			output;
		bool		is_varlena;

		getTypeOutputInfo(type, &output, &is_varlena);
		fmgr_info(output, &reader->output);
	}
}

const char *
rlrec_id_bytes(RlrecIdReader *reader, Datum datum, size_t *length)
{
	struct varlena *text;
	char	   *string;

	switch (reader->type)
	{
		case INT2OID:
			*length = pg_ltoa(DatumGetInt16(datum), reader->buffer);
			return reader->buffer;
		case INT4OID:
			*length = pg_ltoa(DatumGetInt32(datum), reader->buffer);
			return reader->buffer;
		case INT8OID:
			*length = pg_lltoa(DatumGetInt64(datum), reader->buffer);
			return reader->buffer;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			text = PG_DETOAST_DATUM_PACKED(datum);
			*length = VARSIZE_ANY_EXHDR(text);
			return VARDATA_ANY(text);
		default:
			string = OutputFunctionCall(&reader->output, datum);
			*length = strlen(string);
			return string;
	}
}
