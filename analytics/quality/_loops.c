/* The inner loops of analytics.quality, compiled: pixels that outlines share, and how far outlines moved.
 *
 * They do what crossings.py, spans.py and moves.py do with NumPy, which run where this file could not be compiled and
 * which explain the formulas; the tests hold both to the same numbers, to the last bit. What rounding can decide is
 * therefore computed in the order of those files, and the compiler must not contract it (-ffp-contract=off).
 *
 * Memory is checked where it is taken, sizes where arrays come in. Python's lock is released while the loops run.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIFTHS 5
#define WHOLE 0x1.8p52  /* added and taken away, it rounds as rint() does, without a call */
#define FARTHEST_PX 100000.0  /* as in crossings.py */

typedef struct {
    int32_t first, last;   /* columns whose middle the ring crosses */
    int32_t high, low;     /* y of the highest and the lowest corner in fifths of a pixel */
    int32_t slot;          /* where its columns begin when those of all rings are counted through */
} Ring;

typedef struct {
    int32_t left, at;      /* left end in fifths */
    int32_t across, down;  /* from there to the right end */
    int32_t lo, hi;        /* columns whose middle it crosses */
    int32_t base;          /* slot of column 0 of its ring */
} Edge;

/* Rings of one picture as rows at which each column goes on and off. */
typedef struct {
    Ring *rings;
    Edge *edges;
    int32_t *begin;        /* (slots + 1) where the rows of each slot begin; their number is even */
    int32_t *next;         /* (slots + 1) while they are filled in: where the next one goes */
    int32_t *rows;         /* from above within a slot */
    int64_t *areas;        /* pixels of each ring */
    int32_t slots;
} Spans;

enum Outcome { DONE, BEYOND, NO_MEMORY };

static inline int32_t at_least(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t at_most(int32_t a, int32_t b) { return a < b ? a : b; }

/* Whole numbers divided and rounded down, as Python's // does. */
static inline int32_t floor_div(int32_t a, int32_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

static inline int32_t first_column(int32_t left) { return at_least(floor_div(left + FIFTHS - 3, FIFTHS), 0); }
static inline int32_t last_column(int32_t right, int32_t width) {
    return at_most(floor_div(right - 3, FIFTHS), width - 1);
}

/* A row is covered from its middle on: the least whole (fifth - 2) / 5 that is not above it. */
static inline int32_t row_of(double fifth, int32_t height) {
    int32_t cut = (int32_t)fifth + FIFTHS - 3;
    return cut < 0 ? 0 : at_most(cut / FIFTHS, height);
}

static void take_ring(const double *points, int64_t corners, int32_t width, Ring *ring, Edge *edges) {
    int32_t left = INT32_MAX, right = INT32_MIN, high = INT32_MAX, low = INT32_MIN;
    for (int64_t k = 0; k < corners; k++) {
        int32_t x = (int32_t)((points[2 * k] + 0.5) * FIFTHS + 0.5);
        int32_t y = (int32_t)((points[2 * k + 1] + 0.5) * FIFTHS + 0.5);
        edges[k].left = x, edges[k].at = y;
        left = at_most(left, x), right = at_least(right, x);
        high = at_most(high, y), low = at_least(low, y);
    }
    ring->first = first_column(left), ring->last = last_column(right, width);
    ring->high = high, ring->low = low;
    Edge start = edges[0];
    for (int64_t k = 0; k < corners; k++) {
        Edge *edge = &edges[k];
        Edge next = k + 1 < corners ? edges[k + 1] : start;
        int32_t x = edge->left, y = edge->at;
        edge->left = at_most(x, next.left);
        edge->at = x > next.left ? next.at : y;
        edge->across = at_least(x, next.left) - edge->left;
        edge->down = y + next.at - 2 * edge->at;
        edge->lo = first_column(edge->left);
        edge->hi = last_column(edge->left + edge->across, width);
        edge->base = ring->slot - ring->first;
    }
}

/* The row at which an edge crosses each of its columns. */
static void cross(const Spans *spans, const Edge *edge, int32_t height) {
    int32_t *rows = spans->rows, *next = spans->next, base = edge->base;
    double across = edge->across, down = edge->down;
    if (fabs(down) > across) {  /* steep: the last step, from above, on this side of the middle */
        double slope = across / down, steps = down / across;
        double x = edge->left + (edge->down < 0 ? edge->across : 0), y = edge->at + at_most(edge->down, 0);
        int rising = edge->down > 0;
        for (int32_t column = edge->lo; column <= edge->hi; column++) {
            double middle = FIFTHS * column + 2.5;
            /* This step or the one before it; halfway between two steps either will do, so no division is needed. */
            double t = ((middle - x) * steps + WHOLE) - WHOLE;
            int before = (t * slope + x + 0.5 < middle + 0.5) ^ rising;
            rows[next[base + column]++] = row_of(y + t - before, height);
        }
    } else {  /* the upper one of both steps is the left one where the edge goes down, else the right one */
        double slope = down / across;
        int32_t steps = 2 - edge->left + (edge->down < 0);
        for (int32_t column = edge->lo; column <= edge->hi; column++) {
            double t = FIFTHS * column + steps;
            rows[next[base + column]++] = row_of(slope * t + edge->at + 0.5, height);
        }
    }
}

/* Sort the rows of one column, which are nearly always two; how many are covered. */
static int32_t settle(int32_t *rows, int32_t count) {
    int32_t covered = 0;
    for (int32_t k = 2; count > 2 && k <= count; k++) {
        int32_t row = rows[k - 1], place = k - 1;
        for (; place > 0 && rows[place - 1] > row; place--) rows[place] = rows[place - 1];
        rows[place] = row;
    }
    for (int32_t k = 0; k < count; k += 2) {
        int32_t one = rows[k], other = rows[k + 1];
        rows[k] = at_most(one, other), rows[k + 1] = at_least(one, other);
        covered += rows[k + 1] - rows[k];
    }
    return covered;
}

static void drop(Spans *spans) {
    free(spans->rings), free(spans->edges), free(spans->begin), free(spans->next), free(spans->rows);
    free(spans->areas);
}

static enum Outcome fill(Spans *spans, const double *points, const int64_t *sizes, int64_t count, int32_t width,
                         int32_t height, int64_t most) {
    int64_t corners = 0, crossings = 0, place = 0;
    for (int64_t k = 0; k < count; k++) corners += sizes[k] / 2;
    for (int64_t k = 0; k < 2 * corners; k++)
        if (!(fabs(points[k]) <= FARTHEST_PX)) return BEYOND;  /* NaN, too */
    spans->rings = malloc((count + 1) * sizeof(Ring));
    spans->edges = malloc((corners + 1) * sizeof(Edge));
    spans->areas = calloc(count + 1, sizeof(int64_t));
    if (!spans->rings || !spans->edges || !spans->areas) return NO_MEMORY;
    spans->slots = 0;
    for (int64_t k = 0; k < count; k++) {
        Ring *ring = &spans->rings[k];
        if (spans->slots > INT32_MAX - width) return BEYOND;
        ring->slot = spans->slots;
        take_ring(points, sizes[k] / 2, width, ring, spans->edges + place);
        spans->slots += ring->last < ring->first ? 0 : ring->last - ring->first + 1;
        points += sizes[k], place += sizes[k] / 2;
    }
    for (int64_t k = 0; k < corners; k++) {
        const Edge *edge = &spans->edges[k];
        crossings += edge->hi < edge->lo ? 0 : edge->hi - edge->lo + 1;
    }
    if (crossings > most || crossings > INT32_MAX) return BEYOND;

    spans->begin = calloc((size_t)spans->slots + 2, sizeof(int32_t));
    spans->next = malloc(((size_t)spans->slots + 1) * sizeof(int32_t));
    spans->rows = malloc((size_t)(crossings + 1) * sizeof(int32_t));
    if (!spans->begin || !spans->next || !spans->rows) return NO_MEMORY;
    /* How many cross each column: one more from `lo` on, one less after `hi`; then where each one's rows begin. */
    for (int64_t k = 0; k < corners; k++) {
        const Edge *edge = &spans->edges[k];
        if (edge->lo <= edge->hi) spans->begin[edge->base + edge->lo]++, spans->begin[edge->base + edge->hi + 1]--;
    }
    int32_t now = 0, total = 0;
    for (int32_t slot = 0; slot <= spans->slots; slot++) {
        now += spans->begin[slot];
        spans->begin[slot] = spans->next[slot] = total, total += now;
    }
    for (int64_t k = 0; k < corners; k++) cross(spans, &spans->edges[k], height);
    for (int64_t k = 0; k < count; k++) {
        int32_t end = k + 1 < count ? spans->rings[k + 1].slot : spans->slots;
        for (int32_t slot = spans->rings[k].slot; slot < end; slot++)
            spans->areas[k] += settle(spans->rows + spans->begin[slot], spans->begin[slot + 1] - spans->begin[slot]);
    }
    return DONE;
}

/* Pixels that two rings share. */
static int64_t common(const Spans *spans, const Ring *one, const Ring *other) {
    int32_t lo = at_least(one->first, other->first), hi = at_most(one->last, other->last);
    int64_t both = 0;
    if (at_least(one->high, other->high) >= at_most(one->low, other->low)) return 0;
    for (int32_t column = lo; column <= hi; column++) {
        const int32_t *a = spans->begin + (one->slot + column - one->first);
        const int32_t *b = spans->begin + (other->slot + column - other->first);
        const int32_t *mine = spans->rows + a[0], *mine_end = spans->rows + a[1];
        const int32_t *theirs = spans->rows + b[0], *theirs_end = spans->rows + b[1];
        while (mine < mine_end && theirs < theirs_end) {
            int32_t rows = at_most(mine[1], theirs[1]) - at_least(mine[0], theirs[0]);
            if (rows > 0) both += rows;
            if (mine[1] < theirs[1]) mine += 2; else theirs += 2;
        }
    }
    return both;
}

static enum Outcome iou(const double *points, const int64_t *sizes, int64_t count, int64_t ds, int32_t width,
                        int32_t height, int64_t most, double *found) {
    Spans spans = {0};
    enum Outcome outcome = fill(&spans, points, sizes, count, width, height, most);
    for (int64_t i = 0; outcome == DONE && i < ds; i++) {
        for (int64_t j = ds; j < count; j++) {
            int64_t both = common(&spans, &spans.rings[i], &spans.rings[j]);
            double either = (double)(spans.areas[i] + spans.areas[j] - both);
            *found++ = both ? (double)both / either : 0.0;
        }
    }
    drop(&spans);
    return outcome;
}

/* Squared distance of a point to the edge from `start` to `end`, but for the end; in the order of GEOS. */
static inline double square(const double *point, const double *start, const double *end) {
    double across = end[0] - start[0], down = end[1] - start[1];
    double length = across * across + down * down;
    double share = ((point[0] - start[0]) * across + (point[1] - start[1]) * down) / (length > 0 ? length : 1);
    if (!(share > 0 && share < 1)) share = 0;
    double x = point[0] - (start[0] + share * across), y = point[1] - (start[1] + share * down);
    return x * x + y * y;
}

/* The farthest squared distance of corners of one ring to another ring, or `known` where that is more. An edge nearer
 * than `known` settles a corner, and the one nearest to the corner before often is. */
static double farthest(const double *ring, int64_t corners, const double *other, int64_t edges, double known) {
    int64_t near = 0;
    for (int64_t k = 0; k < corners; k++) {
        double best = INFINITY;
        int64_t at = near;
        for (int64_t seen = 0; seen < edges && best > known; seen++) {
            int64_t after = at + 1 < edges ? at + 1 : 0;
            double here = square(ring + 2 * k, other + 2 * at, other + 2 * after);
            if (here < best) best = here, near = at;
            at = after;
        }
        if (best > known) known = best;
    }
    return known;
}

static int take(PyObject *given, Py_buffer *buffer, int flags, const char *name) {
    if (PyObject_GetBuffer(given, buffer, flags | PyBUF_C_CONTIGUOUS) < 0) return 0;
    if (buffer->itemsize == 8) return 1;
    PyErr_Format(PyExc_TypeError, "%s: numbers of 8 bytes are needed, not of %zd", name, buffer->itemsize);
    PyBuffer_Release(buffer);
    return 0;
}

/* Numbers of a list from `place` on, but not beyond `end`; where they end, NULL after an error. */
static double *copy(PyObject *numbers, double *place, const double *end) {
    Py_ssize_t count = PyList_Size(numbers);
    if (count > end - place) {
        PyErr_SetString(PyExc_ValueError, "flatten: the lists hold more numbers than found");
        return NULL;
    }
    for (Py_ssize_t k = 0; k < count; k++) {
        PyObject *number = PyList_GetItem(numbers, k);  /* an error, should a number's own code shorten the list */
        if (!number) return NULL;
        Py_INCREF(number);
        *place++ = PyFloat_AsDouble(number);
        Py_DECREF(number);
        if (place[-1] == -1.0 && PyErr_Occurred()) return NULL;
    }
    return place;
}

static PyObject *py_flatten(PyObject *module, PyObject *args) {
    PyObject *lists, *given, *answer = NULL;
    Py_buffer found = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O", &PyList_Type, &lists, &given)) return NULL;
    if (!take(given, &found, PyBUF_FORMAT | PyBUF_WRITABLE, "found")) return NULL;
    double *place = found.buf, *end = place + found.len / 8;
    for (Py_ssize_t k = 0; place && k < PyList_Size(lists); k++) {
        PyObject *numbers = PyList_GetItem(lists, k);
        if (!PyList_Check(numbers)) {
            answer = Py_NewRef(Py_False);
            goto end;
        }
        place = copy(numbers, place, end);
    }
    if (place == end) answer = Py_NewRef(Py_True);
    else if (place) PyErr_SetString(PyExc_ValueError, "flatten: the lists hold fewer numbers than found");
end:
    PyBuffer_Release(&found);
    return answer;
}

static PyObject *py_outline_iou(PyObject *module, PyObject *args) {
    PyObject *given[3], *answer = NULL;
    Py_buffer points = {0}, sizes = {0}, found = {0};
    long long ds, most;
    int width, height;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOLiiLO", &given[0], &given[1], &ds, &width, &height, &most, &given[2])) return NULL;
    if (!take(given[0], &points, PyBUF_FORMAT, "points")) return NULL;
    if (!take(given[1], &sizes, PyBUF_FORMAT, "sizes")) goto end;
    if (!take(given[2], &found, PyBUF_FORMAT | PyBUF_WRITABLE, "found")) goto end;
    const int64_t *size = sizes.buf;
    int64_t count = sizes.len / 8, numbers = 0;
    int fits = ds >= 0 && ds <= count && found.len / 8 == ds * (count - ds) && width > 0 && height > 0;
    for (int64_t k = 0; fits && k < count; k++) {
        fits = size[k] >= 2 && size[k] % 2 == 0 && size[k] <= points.len / 8 - numbers;
        numbers += size[k];
    }
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "outline_iou: sizes do not fit the points, or found does not fit the sizes");
        goto end;
    }
    enum Outcome outcome;
    Py_BEGIN_ALLOW_THREADS
    outcome = iou(points.buf, size, count, ds, width, height, most, found.buf);
    Py_END_ALLOW_THREADS
    answer = outcome == NO_MEMORY ? PyErr_NoMemory() : PyBool_FromLong(outcome == DONE);
end:
    PyBuffer_Release(&points), PyBuffer_Release(&sizes), PyBuffer_Release(&found);
    return answer;
}

static PyObject *py_moved(PyObject *module, PyObject *args) {
    PyObject *given[4], *answer = NULL;
    Py_buffer corners = {0}, starts = {0}, counts = {0}, found = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO", &given[0], &given[1], &given[2], &given[3])) return NULL;
    if (!take(given[0], &corners, PyBUF_FORMAT, "corners")) return NULL;
    if (!take(given[1], &starts, PyBUF_FORMAT, "starts")) goto end;
    if (!take(given[2], &counts, PyBUF_FORMAT, "counts")) goto end;
    if (!take(given[3], &found, PyBUF_FORMAT | PyBUF_WRITABLE, "found")) goto end;
    const double *corner = corners.buf;
    const int64_t *start = starts.buf, *number = counts.buf;
    double *distance = found.buf;
    int64_t pairs = found.len / 8, all = corners.len / 16;
    int fits = starts.len == 16 * pairs && counts.len == 16 * pairs;
    for (int64_t k = 0; fits && k < 2 * pairs; k++)
        fits = number[k] >= 1 && number[k] <= all && start[k] >= 0 && start[k] <= all - number[k];
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "moved: starts and counts do not fit the corners, or found not the pairs");
        goto end;
    }
    Py_BEGIN_ALLOW_THREADS
    for (int64_t k = 0; k < pairs; k++) {
        const double *one = corner + 2 * start[k], *other = corner + 2 * start[k + pairs];
        double known = farthest(one, number[k], other, number[k + pairs], 0);
        distance[k] = sqrt(farthest(other, number[k + pairs], one, number[k], known));
    }
    Py_END_ALLOW_THREADS
    answer = Py_NewRef(Py_None);
end:
    PyBuffer_Release(&corners), PyBuffer_Release(&starts), PyBuffer_Release(&counts), PyBuffer_Release(&found);
    return answer;
}

static PyMethodDef methods[] = {
    {"flatten", py_flatten, METH_VARARGS, "flatten(lists, found) -> bool; False where one of them is no list."},
    {"outline_iou", py_outline_iou, METH_VARARGS,
     "outline_iou(points, sizes, ds, width, height, most, found) -> bool; False: too many crossings, or too far away."},
    {"moved", py_moved, METH_VARARGS, "moved(corners, starts, counts, found): Hausdorff distances of pairs of rings."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "analytics.quality._loops",
    .m_doc = "Inner loops of analytics.quality, compiled.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__loops(void) { return PyModuleDef_Init(&definition); }
