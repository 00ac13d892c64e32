/*
 * A step of Unicorn's translation of code, in place of Unicorn's own: additions that set the Q
 * flag.
 *
 * Unicorn's translated code calls a function for each of them, two for an SMLAD. The function
 * branches on the signs of what is added, which a host cannot foresee, and each call has all guest
 * registers stored before and read again behind. Here the addition becomes host instructions
 * without a branch.
 *
 * Unicorn calls tcg_gen_callN_arm while it translates, whenever the code is to call a function. The
 * dynamic linker finds that name here first, since this library is loaded before Unicorn, where all
 * libraries look; no code is changed. All other calls are handed on, those of other copies of
 * Unicorn too.
 *
 * Sources: Unicorn 2.1.4, qemu/tcg/tcg.c, qemu/include/tcg/tcg.h, tcg-op.h and tcg-opc.h,
 * qemu/target/arm/op_helper.c; ELF gABI, "Shared Object Dependencies".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of operations (tcg-opc.h), and of the type of 32-bit variables. */
enum { OP_MOV = 5, OP_LOAD = 13, OP_STORE = 16, OP_ADD = 17, OP_OR = 27, OP_XOR = 28, OP_SHR = 30 };
enum { I32 = 0 };

/* The first members of TCGContext: what is known of the block under translation. */
typedef struct {
    void *pools[5];
    int32_t labels, globals, temporaries, indirects;
    int32_t operations; /* a block ends when there are too many */
} context_t;

/* A variable of the code under translation, as an operation takes it. */
typedef uintptr_t variable_t;

typedef void (*call_fn)(context_t *context, void *function, void *result, int count, void **args);

/* What is used of Unicorn. */
typedef struct {
    call_fn call;
    void (*op2)(context_t *context, int operation, variable_t a, variable_t b);
    void (*op3)(context_t *context, int operation, variable_t a, variable_t b, uintptr_t c);
    void (*and_not)(context_t *context, uintptr_t to, uintptr_t a, uintptr_t b);
    uintptr_t (*constant)(context_t *context, int32_t value);
    void *(*new_variable)(context_t *context, int type, int is_local);
    void (*free_variable)(context_t *context, void *variable);
    const void *add_setting_q; /* the function that is not called any more */
    uint64_t q_place;          /* of the Q flag, in the state of the core */
    uint64_t additions;        /* translated here so far */
} translation_t;

static translation_t unicorn;

/* Where Unicorn's code is; calls from elsewhere come from another copy of it. */
static uintptr_t unicorn_begin, unicorn_bytes;

/* How many bytes of addresses a library takes, by the headers at its first. */
static uintptr_t length_of(const void *library) {
    const ElfW(Ehdr) *header = library;
    const ElfW(Phdr) *segment = (const void *)((const char *)library + header->e_phoff);
    uintptr_t length = 0;
    for (const ElfW(Phdr) *end = segment + header->e_phnum; segment < end; segment++) {
        if (segment->p_type == PT_LOAD && segment->p_vaddr + segment->p_memsz > length) {
            length = segment->p_vaddr + segment->p_memsz;
        }
    }
    return length;
}

/* Take over from now on; NULL if the library that the functions are of is not to be found. */
translation_t *translation_begin(const translation_t *with) {
    Dl_info library;
    if (!dladdr(with->add_setting_q, &library)) {
        return NULL;
    }
    unicorn_begin = (uintptr_t)library.dli_fbase;
    unicorn_bytes = length_of(library.dli_fbase);
    unicorn = *with;
    return &unicorn;
}

/* result = a + b; the Q flag is set if that overflows: if the sum's sign is neither's. */
static void add_setting_q(context_t *context, variable_t result, variable_t core, variable_t a,
                          variable_t b) {
    const translation_t *u = &unicorn;
    uintptr_t base = (uintptr_t)context;
    int32_t operations = context->operations;
    variable_t sum = (variable_t)u->new_variable(context, I32, 0);
    variable_t differ = (variable_t)u->new_variable(context, I32, 0);
    variable_t q = (variable_t)u->new_variable(context, I32, 0);
    variable_t sign = base + u->constant(context, 31);
    u->op3(context, OP_ADD, sum, a, b);
    u->op3(context, OP_XOR, differ, a, b);
    u->op3(context, OP_XOR, q, sum, a);
    u->and_not(context, q - base, q - base, differ - base);
    u->op3(context, OP_SHR, q, q, sign);
    u->op3(context, OP_LOAD, differ, core, u->q_place);
    u->op3(context, OP_OR, q, q, differ);
    u->op3(context, OP_STORE, q, core, u->q_place);
    u->op2(context, OP_MOV, result, sum);
    u->free_variable(context, (void *)sum);
    u->free_variable(context, (void *)differ);
    u->free_variable(context, (void *)q);
    u->free_variable(context, (void *)sign);
    context->operations = operations + 1; /* as with a call, so that blocks end where they did */
    __atomic_fetch_add(&unicorn.additions, 1, __ATOMIC_RELAXED);
}

/* The function of this name in the library that code stands in. */
static call_fn own_function(void *code) {
    if ((uintptr_t)code - unicorn_begin < unicorn_bytes) {
        return unicorn.call;
    }
    Dl_info library;
    void *handle =
        dladdr(code, &library) ? dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    void *found = handle ? dlsym(handle, "tcg_gen_callN_arm") : NULL;
    if (!found) {
        __builtin_trap(); /* code that calls Unicorn's function stands in a copy of Unicorn */
    }
    dlclose(handle); /* whoever calls holds it */
    call_fn function;
    __builtin_memcpy(&function, &found, sizeof function);
    return function;
}

void tcg_gen_callN_arm(context_t *context, void *function, void *result, int count, void **args) {
    if (function == unicorn.add_setting_q) {
        add_setting_q(context, (variable_t)result, (variable_t)args[0], (variable_t)args[1],
                      (variable_t)args[2]);
        return;
    }
    own_function(__builtin_return_address(0))(context, function, result, count, args);
}
