/* Contours of many masks in one call: what cv2.findContours(crop, RETR_CCOMP, CHAIN_APPROX_SIMPLE) gives for each, the
 * same points in the same order, in a third of the time. Where this file could not be compiled, OpenCV is asked.
 *
 * Border following after S. Suzuki and K. Abe, "Topological structural analysis of digitized binary images by border
 * following", Computer Vision, Graphics, and Image Processing 30 (1985), algorithm 1: rows are searched for places where
 * a border begins that was not followed before; marks on the pixels say which were. Pixels that touch at a corner belong
 * together. Pixels and marks are bits, so that 64 places are searched at once, and a pixel's neighbours are the index of
 * a table that says where its border goes on.
 *
 * All of the memory is taken here and freed here; Python's lock is released while masks are read.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bits are counted through bytes that lie in the order of their weight"
#endif

#if defined(__GNUC__)
#define PREFETCH(place) __builtin_prefetch(place)
#else
#define PREFETCH(place) ((void)0)
#endif
#define AHEAD 8  /* rows; those of a crop lie a whole picture's row apart, where the processor does not look by itself */

enum { EAST = 0, WEST = 4, PASSED_EAST = 8 };  /* of eight ways, counterclockwise as one sees it: 2 is up */

static const int ACROSS[8] = {1, 1, 0, -1, -1, -1, 0, 1}, DOWN[8] = {0, -1, -1, -1, 0, 1, 1, 1};
static uint8_t ONWARD[8][512];
/* Where a border goes on: by the way back to the pixel before, and the 3 x 3 pixels around, row by row. The first one
 * inside counterclockwise from there, with PASSED_EAST where the one in the east is outside and was passed. */

typedef struct {
    size_t begin, end;  /* its points */
    int32_t parent;     /* of a hole: the border around it, else -1 */
    int32_t inner;      /* the last hole in it, -1 if there is none */
    int32_t before;     /* the hole before this one in the same border, -1 if there is none */
} Border;

typedef struct {
    void *items;
    size_t used, room, size;
} Vector;

/* One mask under way. Bit x + 1 of row y + 1 is pixel (x, y): around the mask runs a frame of outside. */
typedef struct {
    uint8_t *inside;
    uint8_t *followed;  /* by a border */
    uint8_t *right;     /* by one that saw the pixel in the east, which is outside */
    int32_t *who;       /* (height + 2, width + 2) number of the border that followed a pixel; unset elsewhere */
    size_t bytes, places;  /* room in each of the first three, and in `who` */
    size_t row;         /* bytes of a row, a multiple of 8 with some to spare */
    int32_t width;      /* of the frame */
    Vector points;      /* pairs of int32 */
    Vector borders;
} Tracer;

typedef struct {
    Vector points, starts, parents, counts;  /* int32 pairs, int64, int64, int64 */
} Contours;

static void *add(Vector *vector) {
    if (vector->used == vector->room) {
        size_t room = vector->room ? 2 * vector->room : 256;
        void *items = realloc(vector->items, room * vector->size);
        if (!items) return NULL;
        vector->items = items, vector->room = room;
    }
    return (char *)vector->items + vector->used++ * vector->size;
}

static int add_point(Vector *points, int32_t x, int32_t y) {
    int32_t *point = add(points);
    if (!point) return 0;
    point[0] = x, point[1] = y;
    return 1;
}

static int add_number(Vector *numbers, int64_t number) {
    int64_t *place = add(numbers);
    if (place) *place = number;
    return place != NULL;
}

static uint64_t load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

/* The pixels around bit `x` of a row of bits, with those above and below. */
static inline unsigned around(const uint8_t *bits, size_t row, int32_t x) {
    const uint8_t *here = bits + ((size_t)(x - 1) >> 3);
    int shift = (x - 1) & 7;
    uint16_t above, beside, below;
    memcpy(&above, here - row, 2), memcpy(&beside, here, 2), memcpy(&below, here + row, 2);
    return (above >> shift & 7) | (beside >> shift & 7) << 3 | (below >> shift & 7) << 6;
}

static const int PLACE[8] = {5, 2, 1, 0, 3, 6, 7, 8};  /* of the pixel in each way among those around */

static void fill_table(void) {
    for (int back = 0; back < 8; back++) {
        for (unsigned pixels = 0; pixels < 512; pixels++) {
            int way = back, passed = 0;
            do {
                way = (way + 1) & 7;
                if (pixels >> PLACE[way] & 1) break;
                passed |= way == EAST ? PASSED_EAST : 0;
            } while (way != back);
            ONWARD[back][pixels] = (uint8_t)(way | passed);
        }
    }
}

/* A border follows bit `x` of row `y`. */
static inline void mark(Tracer *tracer, int32_t x, int32_t y, int passed_east, int32_t number) {
    size_t byte = (size_t)y * tracer->row + (x >> 3);
    uint8_t bit = (uint8_t)(1 << (x & 7));
    if (passed_east || !(tracer->followed[byte] & bit)) tracer->who[(size_t)y * tracer->width + x] = number;
    tracer->followed[byte] |= bit;
    if (passed_east) tracer->right[byte] |= bit;
}

/* Follow a border from the bit where it was found; its corners become points. False: out of memory. */
static int follow(Tracer *tracer, int32_t x, int32_t y, int is_hole, int32_t number) {
    const uint8_t *row = tracer->inside + (size_t)y * tracer->row;
    unsigned pixels = around(row, tracer->row, x);
    /* The last pixel of the round: the first one inside, going clockwise from the outside where the border was found. */
    int outside = is_hole ? EAST : WEST, way = outside;
    do way = (way + 7) & 7; while (!(pixels >> PLACE[way] & 1) && way != outside);
    if (way == outside) {  /* a pixel alone */
        mark(tracer, x, y, 1, number);
        return add_point(&tracer->points, x - 1, y - 1);
    }
    int32_t start_x = x, start_y = y, last_x = x + ACROSS[way], last_y = y + DOWN[way];
    int come = (way + 4) & 7;  /* the way that led here */
    for (;;) {
        int onward = ONWARD[way][pixels];
        way = onward & 7;
        mark(tracer, x, y, onward & PASSED_EAST, number);
        if (way != come && !add_point(&tracer->points, x - 1, y - 1)) return 0;
        come = way;
        int32_t next_x = x + ACROSS[way], next_y = y + DOWN[way];
        if (next_x == start_x && next_y == start_y && x == last_x && y == last_y) return 1;
        x = next_x, y = next_y, row += (ptrdiff_t)DOWN[way] * (ptrdiff_t)tracer->row, way = (way + 4) & 7;
        pixels = around(row, tracer->row, x);
    }
}

/* The border that was passed last on the way to bit `x` of a row, itself included. */
static int32_t passed_last(const Tracer *tracer, int32_t x, int32_t y) {
    const uint8_t *followed = tracer->followed + (size_t)y * tracer->row;
    while (x > 0 && !(followed[x >> 3] >> (x & 7) & 1)) x = followed[x >> 3] ? x - 1 : (x & ~7) - 1;
    return tracer->who[(size_t)y * tracer->width + x];
}

/* Follow the border that begins at a bit. False: out of memory. */
static int found(Tracer *tracer, int32_t x, int32_t y, int is_hole) {
    int32_t number = (int32_t)tracer->borders.used, beside = is_hole ? passed_last(tracer, x, y) : -1;
    Border *border = add(&tracer->borders);
    if (!border) return 0;
    Border *borders = tracer->borders.items;
    *border = (Border){.begin = tracer->points.used, .parent = -1, .inner = -1, .before = -1};
    if (is_hole) {  /* passed last was the border around it, or another hole in that */
        border->parent = borders[beside].parent < 0 ? beside : borders[beside].parent;
        border->before = borders[border->parent].inner;
        borders[border->parent].inner = number;
    }
    if (!follow(tracer, x, y, is_hole, number)) return 0;
    border->end = tracer->points.used;
    return 1;
}

/* Follow all borders that begin in a row of bits. False: out of memory. */
static int search_row(Tracer *tracer, int32_t y) {
    const uint8_t *row = tracer->inside + (size_t)y * tracer->row;
    const uint8_t *followed = tracer->followed + (size_t)y * tracer->row;
    const uint8_t *right = tracer->right + (size_t)y * tracer->row;
    for (int32_t first = 0; first < tracer->width; first += 64) {
        size_t byte = (size_t)first >> 3;
        uint64_t inside = load(row + byte), ahead = UINT64_MAX;
        uint64_t begins = inside & ~(inside << 1 | (first ? row[byte - 1] >> 7 : 0));
        uint64_t ends = inside & ~(inside >> 1 | (uint64_t)row[byte + 8] << 63);
        for (;;) {
            uint64_t outer = begins & ~load(followed + byte) & ahead, hole = ends & ~load(right + byte) & ahead;
            if (!(outer | hole)) break;
            int bit = 0;
            while (!((outer | hole) >> bit & 1)) bit++;
            if (!found(tracer, first + bit, y, !(outer >> bit & 1))) return 0;
            ahead = UINT64_MAX << bit;
        }
    }
    return 1;
}

/* Borders of a mask in OpenCV's order: the last one found first, each followed by its holes, the last one first. */
static int hand_out(const Tracer *tracer, int32_t left, int32_t top, Contours *contours) {
    const Border *borders = tracer->borders.items;
    const int32_t *points = tracer->points.items;
    int64_t outer = 0;
    for (int32_t k = (int32_t)tracer->borders.used - 1; k >= 0; k--) {
        if (borders[k].parent >= 0) continue;
        outer = (int64_t)contours->parents.used;
        for (int32_t each = k; each >= 0; each = each == k ? borders[k].inner : borders[each].before) {
            const Border *border = &borders[each];
            if (!add_number(&contours->starts, (int64_t)contours->points.used)) return 0;
            if (!add_number(&contours->parents, each == k ? -1 : outer)) return 0;
            for (size_t i = border->begin; i <= border->end; i++) {  /* and the first one again */
                const int32_t *point = points + 2 * (i < border->end ? i : border->begin);
                if (!add_point(&contours->points, point[0] + left, point[1] + top)) return 0;
            }
        }
    }
    return add_number(&contours->counts, (int64_t)tracer->borders.used);
}

/* Sixteen bytes as bits: 1 where a byte is not 0. */
#if defined(__SSE2__)
static inline unsigned pack(const uint8_t *bytes) {
    __m128i all = _mm_loadu_si128((const __m128i *)bytes);
    return 0xffffu & ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_setzero_si128()));
}
#else
static inline unsigned pack(const uint8_t *bytes) {
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    unsigned bits = 0;
    for (int half = 0; half < 2; half++) {
        uint64_t eight = load(bytes + 8 * half), set = (((eight & low) + low) | eight) & ~low;  /* each byte's top bit */
        bits |= (unsigned)((set >> 7) * UINT64_C(0x0102040810204080) >> 56) << 8 * half;
    }
    return bits;
}
#endif

static void take_row(uint8_t *row, const uint8_t *from, ptrdiff_t step, int32_t width) {
    unsigned carry = 0;  /* the frame's bit, then the last bit of sixteen, as all move on by one */
    for (int32_t x = 0; x < width; x += 16) {
        unsigned bits;
        if (step == 1 && x + 16 <= width) bits = pack(from + x);
        else {
            uint8_t some[16] = {0};
            for (int32_t k = 0; k < 16 && x + k < width; k++) some[k] = from[(x + k) * step];
            bits = pack(some);
        }
        uint16_t moved = (uint16_t)(bits << 1 | carry);
        memcpy(row + (x >> 3), &moved, 2), carry = bits >> 15;
    }
    row[(width + 15) / 16 * 2] = (uint8_t)carry;
}

static int take_mask(Tracer *tracer, const Py_buffer *mask, int32_t width, int32_t height) {
    tracer->width = width + 2, tracer->row = ((size_t)width + 2 + 63) / 64 * 8 + 8;
    size_t bytes = tracer->row * ((size_t)height + 2), places = (size_t)tracer->width * ((size_t)height + 2);
    if (bytes > tracer->bytes) {
        free(tracer->inside), free(tracer->followed), free(tracer->right);
        tracer->inside = malloc(bytes), tracer->followed = malloc(bytes), tracer->right = malloc(bytes);
        tracer->bytes = bytes;
    }
    if (places > tracer->places) {
        free(tracer->who);
        tracer->who = malloc(places * sizeof(int32_t)), tracer->places = places;
    }
    if (!tracer->inside || !tracer->followed || !tracer->right || !tracer->who) return 0;
    memset(tracer->inside, 0, bytes), memset(tracer->followed, 0, bytes), memset(tracer->right, 0, bytes);
    for (int32_t y = 0; y < height; y++) {
        const uint8_t *from = (const uint8_t *)mask->buf + y * mask->strides[0];
        for (int32_t x = 0; mask->strides[1] == 1 && y + AHEAD < height && x < width; x += 64)
            PREFETCH(from + AHEAD * mask->strides[0] + x);
        take_row(tracer->inside + (size_t)(y + 1) * tracer->row, from, mask->strides[1], width);
    }
    return 1;
}

static int trace(Tracer *tracer, const Py_buffer *mask, int32_t left, int32_t top, Contours *contours) {
    int32_t height = (int32_t)mask->shape[0], width = (int32_t)mask->shape[1];
    tracer->points.used = tracer->borders.used = 0;
    if (width && height) {
        if (!take_mask(tracer, mask, width, height)) return 0;
        for (int32_t y = 1; y <= height; y++)
            if (!search_row(tracer, y)) return 0;
    }
    return hand_out(tracer, left, top, contours);
}

static PyObject *as_bytes(const Vector *vector) {
    return PyByteArray_FromStringAndSize(vector->items, (Py_ssize_t)(vector->used * vector->size));
}

/* The masks of a sequence, in room for `count` of them; how many could be taken, fewer after an error. */
static Py_ssize_t take_all(PyObject *crops, Py_buffer *masks, Py_ssize_t count) {
    for (Py_ssize_t k = 0; k < count; k++) {
        PyObject *crop = PySequence_GetItem(crops, k);
        int taken = crop && PyObject_GetBuffer(crop, &masks[k], PyBUF_STRIDES) == 0;
        Py_XDECREF(crop);
        if (!taken) return k;
        if (masks[k].ndim != 2 || masks[k].itemsize != 1 || masks[k].len > INT32_MAX) {
            PyErr_SetString(PyExc_ValueError, "contours: a mask is not (h, w) of one byte a pixel, or has over 2^31 pixels");
            PyBuffer_Release(&masks[k]);
            return k;
        }
    }
    return count;
}

static PyObject *py_contours(PyObject *module, PyObject *args) {
    PyObject *crops, *given, *answer = NULL;
    Py_buffer offsets;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &crops, &given)) return NULL;
    Py_ssize_t count = PySequence_Size(crops), taken = 0;
    if (count < 0 || PyObject_GetBuffer(given, &offsets, PyBUF_C_CONTIGUOUS) < 0) return NULL;
    Tracer tracer = {.points.size = 2 * sizeof(int32_t), .borders.size = sizeof(Border)};
    Contours contours = {{.size = 2 * sizeof(int32_t)}, {.size = 8}, {.size = 8}, {.size = 8}};
    Py_buffer *masks = calloc((size_t)count + 1, sizeof(Py_buffer));
    if (!masks) {
        PyErr_NoMemory();
        goto end;
    }
    if (offsets.len != 8 * count) {
        PyErr_SetString(PyExc_ValueError, "contours: offsets must be (masks, 2) int32");
        goto end;
    }
    taken = take_all(crops, masks, count);
    if (taken < count) goto end;
    int done = 1;
    Py_BEGIN_ALLOW_THREADS
    const int32_t *offset = offsets.buf;
    for (Py_ssize_t k = 0; done && k < count; k++)
        done = trace(&tracer, &masks[k], offset[2 * k], offset[2 * k + 1], &contours);
    done = done && add_number(&contours.starts, (int64_t)contours.points.used);
    Py_END_ALLOW_THREADS
    if (done)
        answer = Py_BuildValue("(NNNN)", as_bytes(&contours.points), as_bytes(&contours.starts),
                               as_bytes(&contours.parents), as_bytes(&contours.counts));
    else
        PyErr_NoMemory();
end:
    for (Py_ssize_t k = 0; k < taken; k++) PyBuffer_Release(&masks[k]);
    PyBuffer_Release(&offsets);
    free(tracer.inside), free(tracer.followed), free(tracer.right), free(tracer.who);
    free(masks), free(tracer.points.items), free(tracer.borders.items);
    free(contours.points.items), free(contours.starts.items), free(contours.parents.items), free(contours.counts.items);
    return answer;
}

static PyMethodDef methods[] = {
    {"contours", py_contours, METH_VARARGS, "contours(crops, offsets) -> points, starts, parents, counts, as bytearrays."},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *module) {
    (void)module;
    fill_table();
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, prepare}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "inference.polygons._contours",
    .m_doc = "Contours of many masks in one call.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__contours(void) { return PyModuleDef_Init(&definition); }
