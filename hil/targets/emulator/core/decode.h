/* Code becomes instructions; capstone does the reading, once for each encoding. */
#ifndef HIL_DECODE_H
#define HIL_DECODE_H

#include "foreign.h"
#include "instruction.h"

#include <stddef.h>
#include <string.h>

enum { KNOWN_BITS = 13, KNOWN = 1 << KNOWN_BITS, READS = 1, WRITES = 2 };

/* capstone's functions; another one decodes without memory, and takes what stands behind an IT for
 * what it covers from call to call. */
typedef size_t (*disassemble_fn)(csh handle, const uint8_t *code, size_t bytes, uint64_t address,
                                 size_t count, cs_insn **found);
typedef void (*release_fn)(cs_insn *found, size_t count);

/* An instruction as it is at address 0 and outside of any IT block. */
typedef struct {
    uint32_t code; /* a 16-bit one with bit 16 set; 0 for none */
    instruction_t instruction;
} known_t;

typedef struct {
    csh handle; /* capstone's */
    disassemble_fn disassemble;
    release_fn release;
    known_t known[KNOWN];
} decoder_t;

static const uint8_t KINDS[ARM_INS_ENDING] = {
    [ARM_INS_LDR] = KIND_LOAD,
    [ARM_INS_LDRB] = KIND_LOAD,
    [ARM_INS_LDRH] = KIND_LOAD,
    [ARM_INS_LDRSB] = KIND_LOAD,
    [ARM_INS_LDRSH] = KIND_LOAD,
    [ARM_INS_LDRT] = KIND_LOAD,
    [ARM_INS_LDRBT] = KIND_LOAD,
    [ARM_INS_LDRHT] = KIND_LOAD,
    [ARM_INS_LDRSBT] = KIND_LOAD,
    [ARM_INS_LDRSHT] = KIND_LOAD,
    [ARM_INS_LDREX] = KIND_LOAD,
    [ARM_INS_LDREXB] = KIND_LOAD,
    [ARM_INS_LDREXH] = KIND_LOAD,
    [ARM_INS_STR] = KIND_STORE,
    [ARM_INS_STRB] = KIND_STORE,
    [ARM_INS_STRH] = KIND_STORE,
    [ARM_INS_STRT] = KIND_STORE,
    [ARM_INS_STRBT] = KIND_STORE,
    [ARM_INS_STRHT] = KIND_STORE,
    [ARM_INS_STREX] = KIND_STORE,
    [ARM_INS_STREXB] = KIND_STORE,
    [ARM_INS_STREXH] = KIND_STORE,
    [ARM_INS_LDM] = KIND_LOAD_MULTIPLE,
    [ARM_INS_LDMDB] = KIND_LOAD_MULTIPLE,
    [ARM_INS_LDRD] = KIND_LOAD_MULTIPLE,
    [ARM_INS_POP] = KIND_LOAD_MULTIPLE,
    [ARM_INS_VLDMIA] = KIND_LOAD_MULTIPLE,
    [ARM_INS_VLDMDB] = KIND_LOAD_MULTIPLE,
    [ARM_INS_VPOP] = KIND_LOAD_MULTIPLE,
    [ARM_INS_STM] = KIND_STORE_MULTIPLE,
    [ARM_INS_STMDB] = KIND_STORE_MULTIPLE,
    [ARM_INS_STRD] = KIND_STORE_MULTIPLE,
    [ARM_INS_PUSH] = KIND_STORE_MULTIPLE,
    [ARM_INS_VSTMIA] = KIND_STORE_MULTIPLE,
    [ARM_INS_VSTMDB] = KIND_STORE_MULTIPLE,
    [ARM_INS_VPUSH] = KIND_STORE_MULTIPLE,
    [ARM_INS_B] = KIND_BRANCH,
    [ARM_INS_BL] = KIND_BRANCH,
    [ARM_INS_CBZ] = KIND_COMPARE_BRANCH,
    [ARM_INS_CBNZ] = KIND_COMPARE_BRANCH,
    [ARM_INS_BX] = KIND_INDIRECT,
    [ARM_INS_BLX] = KIND_INDIRECT,
    [ARM_INS_TBB] = KIND_TABLE_BRANCH,
    [ARM_INS_TBH] = KIND_TABLE_BRANCH,
    [ARM_INS_IT] = KIND_IT,
    [ARM_INS_SDIV] = KIND_DIVIDE,
    [ARM_INS_UDIV] = KIND_DIVIDE,
    [ARM_INS_DMB] = KIND_BARRIER,
    [ARM_INS_DSB] = KIND_BARRIER,
    [ARM_INS_ISB] = KIND_SYNCHRONISE,
    [ARM_INS_VADD] = KIND_FLOAT,
    [ARM_INS_VSUB] = KIND_FLOAT,
    [ARM_INS_VMUL] = KIND_FLOAT,
    [ARM_INS_VNMUL] = KIND_FLOAT,
    [ARM_INS_VABS] = KIND_FLOAT,
    [ARM_INS_VNEG] = KIND_FLOAT,
    [ARM_INS_VCMP] = KIND_FLOAT,
    [ARM_INS_VCMPE] = KIND_FLOAT,
    [ARM_INS_VCVT] = KIND_FLOAT,
    [ARM_INS_VCVTR] = KIND_FLOAT,
    [ARM_INS_VCVTB] = KIND_FLOAT,
    [ARM_INS_VCVTT] = KIND_FLOAT,
    [ARM_INS_VMLA] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VMLS] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VNMLA] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VNMLS] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VFMA] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VFMS] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VFNMA] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VFNMS] = KIND_FLOAT_MULTIPLY_ADD,
    [ARM_INS_VDIV] = KIND_FLOAT_DIVIDE,
    [ARM_INS_VSQRT] = KIND_FLOAT_DIVIDE,
    [ARM_INS_VMOV] = KIND_FLOAT_MOVE,
    [ARM_INS_VMRS] = KIND_FLOAT_MOVE,
    [ARM_INS_VMSR] = KIND_FLOAT_MOVE,
    [ARM_INS_VLDR] = KIND_FLOAT_LOAD,
    [ARM_INS_VSTR] = KIND_FLOAT_STORE,
};

static uint32_t stem_of(uint32_t mnemonic) {
    switch (mnemonic) {
    case ARM_INS_ADDW:
        return ARM_INS_ADD;
    case ARM_INS_SUBW:
        return ARM_INS_SUB;
    case ARM_INS_MOVW:
    case ARM_INS_MOVS:
        return ARM_INS_MOV;
    default:
        return mnemonic;
    }
}

/* The number of a core register, or -1. */
static int8_t core_register(uint32_t number) {
    if (number >= ARM_REG_R0 && number <= ARM_REG_R12) {
        return (int8_t)(number - ARM_REG_R0);
    }
    return number == ARM_REG_SP ? SP : number == ARM_REG_LR ? LR : number == ARM_REG_PC ? PC : -1;
}

static bool is_double(const cs_arm_op *operand) {
    return operand->reg >= ARM_REG_D0 && operand->reg <= ARM_REG_D31;
}

/* capstone reads Advanced SIMD too, with registers that this core does not have. */
static uint32_t float_registers(const cs_arm_op *operand) {
    uint32_t number = (uint32_t)operand->reg;
    if (number >= ARM_REG_S0 && number <= ARM_REG_S31) {
        return 1u << (number - ARM_REG_S0);
    }
    bool is_there = number >= ARM_REG_D0 && number <= ARM_REG_D15;
    return is_there ? 3u << 2 * (number - ARM_REG_D0) : 0;
}

/* Operands that are registers. */
typedef struct {
    const cs_arm_op *all[36];
    uint32_t count;
} registers_t;

static registers_t registers_of(const cs_arm *arm) {
    registers_t found = {.count = 0};
    for (uint32_t i = 0; i < arm->op_count; i++) {
        if (arm->operands[i].type == ARM_OP_REG) {
            found.all[found.count++] = &arm->operands[i];
        }
    }
    return found;
}

/* Those of the registers that are loaded or stored. */
static registers_t listed_of(const cs_insn *insn, uint32_t kind, const registers_t *registers) {
    registers_t none = {.count = 0}, listed = *registers;
    if (kind == KIND_LOAD || kind == KIND_STORE) {
        listed.count = listed.count > 1 ? 1 : listed.count;
        return listed;
    }
    if (!(SET(kind) & MULTIPLE)) {
        return none;
    }
    switch (insn->id) {
    case ARM_INS_PUSH:
    case ARM_INS_POP:
    case ARM_INS_VPUSH:
    case ARM_INS_VPOP:
        return listed;
    case ARM_INS_LDRD:
    case ARM_INS_STRD:
        listed.count = listed.count > 2 ? 2 : listed.count;
        return listed;
    default:
        for (uint32_t i = 1; i < listed.count; i++) {
            listed.all[i - 1] = listed.all[i];
        }
        listed.count -= listed.count > 0;
        return listed;
    }
}

static void note_listed(instruction_t *one, const registers_t *listed) {
    for (uint32_t i = 0; i < listed->count; i++) {
        int8_t number = core_register((uint32_t)listed->all[i]->reg);
        one->words = (uint8_t)(one->words + (is_double(listed->all[i]) ? 2 : 1));
        if (!is_of(one, SET(KIND_LOAD) | SET(KIND_LOAD_MULTIPLE))) {
            continue;
        }
        one->writes |= number >= 0 ? 1u << number : 0;
        if (one->load_count < CORE_REGISTERS) {
            one->loads[one->load_count++] = number;
        }
    }
}

static void note_floats(instruction_t *one, const registers_t *registers,
                        const registers_t *listed) {
    /* capstone has those that a multiple load loads as read */
    const registers_t *written = listed->count ? listed : registers;
    for (uint32_t i = 0; i < registers->count; i++) {
        const cs_arm_op *operand = registers->all[i];
        one->is_double |= is_double(operand);
        one->float_reads |= operand->access & READS ? float_registers(operand) : 0;
    }
    for (uint32_t i = 0; i < written->count && one->kind != KIND_STORE_MULTIPLE; i++) {
        bool writes = listed->count || written->all[i]->access & WRITES;
        one->float_writes |= writes ? float_registers(written->all[i]) : 0;
    }
}

static uint8_t access_bytes(const char *mnemonic) {
    const char *stem = mnemonic + (mnemonic[0] == 'v');
    bool single = strncmp(stem, "ldr", 3) == 0 || strncmp(stem, "str", 3) == 0;
    if (!single || stem[3] == 'd') {
        return 4;
    }
    const char *width = stem + 3;
    width += strncmp(width, "ex", 2) == 0 ? 2 : 0;
    width += *width == 's';
    return *width == 'b' ? 1 : *width == 'h' ? 2 : 4;
}

static void note_access(instruction_t *one, const cs_arm *arm, const registers_t *registers) {
    const cs_arm_op *memory = NULL, *last = &arm->operands[arm->op_count ? arm->op_count - 1 : 0];
    for (uint32_t i = arm->op_count; i--;) {
        memory = arm->operands[i].type == ARM_OP_MEM ? &arm->operands[i] : memory;
    }
    address_t *access = &one->access;
    *access = (address_t){.base = -1, .index = -1};
    if (memory) {
        one->has_access = true;
        access->base = core_register(memory->mem.base);
        access->index = memory->mem.index ? core_register(memory->mem.index) : -1;
        access->shift = access->index >= 0 ? (uint8_t)memory->shift.value : 0;
        access->post_indexed = last->type == ARM_OP_IMM && arm->writeback;
        access->offset = access->post_indexed ? last->imm : memory->mem.disp;
        return;
    }
    if (!is_of(one, MULTIPLE)) {
        return;
    }
    bool stack = one->mnemonic == ARM_INS_PUSH || one->mnemonic == ARM_INS_POP ||
                 one->mnemonic == ARM_INS_VPUSH || one->mnemonic == ARM_INS_VPOP;
    one->has_access = true;
    access->base = stack ? SP : core_register((uint32_t)registers->all[0]->reg);
}

static void note_sources(instruction_t *one, const cs_arm *arm) {
    uint8_t count = 0;
    for (uint32_t i = 0; i < arm->op_count; i++) {
        const cs_arm_op *operand = &arm->operands[i];
        uint8_t shift = operand->shift.type == ARM_SFT_LSL ? (uint8_t)operand->shift.value : 0;
        source_t source = {.constant = (uint32_t)operand->imm, .number = -1};
        if (operand->type != ARM_OP_IMM) {
            if (operand->type != ARM_OP_REG || (operand->shift.type && !shift)) {
                return; /* not followed */
            }
            source = (source_t){0, core_register((uint32_t)operand->reg), shift};
            if (!(operand->access & READS) || source.number < 0) {
                continue;
            }
        }
        if (count < MOST_SOURCES) {
            one->sources[count++] = source;
        }
    }
    one->source_count = count;
}

static void note_target(instruction_t *one, const cs_arm *arm) {
    one->has_target = true;
    one->target = (uint32_t)arm->operands[arm->op_count - 1].imm;
    if (one->kind == KIND_COMPARE_BRANCH) {
        one->condition = 0;
    } else if (arm->cc != ARM_CC_AL && arm->cc != ARM_CC_INVALID) {
        one->condition = (uint8_t)(arm->cc - ARM_CC_EQ);
    }
}

/* Translate what capstone has found. */
static void translate(const cs_insn *insn, instruction_t *one) {
    const cs_arm *arm = &insn->detail->arm;
    registers_t registers = registers_of(arm);
    one->mnemonic = stem_of(insn->id);
    one->kind = insn->id < ARM_INS_ENDING ? KINDS[insn->id] : KIND_SIMPLE;
    registers_t listed = listed_of(insn, one->kind, &registers);
    for (uint32_t i = 0; i < registers.count; i++) {
        int8_t number = core_register((uint32_t)registers.all[i]->reg);
        one->writes |= registers.all[i]->access & WRITES && number >= 0 ? 1u << number : 0;
    }
    bool writes_pc = one->writes >> PC & 1;
    if (is_of(one, SET(KIND_LOAD) | SET(KIND_LOAD_MULTIPLE) | SET(KIND_STORE))) {
        one->writes = 0;
    }
    note_listed(one, &listed);
    one->loads_pc = is_of(one, SET(KIND_LOAD) | SET(KIND_LOAD_MULTIPLE)) && one->writes >> PC & 1;
    one->writes &= ~(1u << PC);
    note_floats(one, &registers, &listed);
    note_access(one, arm, &registers);
    if (one->kind == KIND_SIMPLE && writes_pc) {
        one->kind = KIND_INDIRECT;
    }
    if (is_of(one, SET(KIND_BRANCH) | SET(KIND_COMPARE_BRANCH))) {
        note_target(one, arm);
    }
    if (is_of(one, SET(KIND_SIMPLE) | SET(KIND_FLOAT_MOVE))) {
        note_sources(one, arm);
    }
    one->access_bytes = access_bytes(insn->mnemonic);
    one->operands = arm->op_count;
    one->writes_back = arm->writeback;
    one->is_nop = strncmp(insn->mnemonic, "nop", 3) == 0;
    one->is_float = insn->mnemonic[0] == 'v';
    one->is_signed = strncmp(insn->mnemonic, "ldrs", 4) == 0;
    one->is_call = insn->id == ARM_INS_BL || insn->id == ARM_INS_BLX;
    bool to_lr = insn->id == ARM_INS_BX && arm->operands[0].reg == ARM_REG_LR;
    one->is_return = to_lr || (one->kind == KIND_LOAD_MULTIPLE && one->loads_pc);
    one->writes_masks = insn->id == ARM_INS_MSR || insn->id == ARM_INS_CPS;
}

/* The conditions of the instructions that an IT covers. Source: ARMv7-M A7.3.2. */
static void note_covered(instruction_t *one, uint32_t half) {
    uint8_t first = half >> 4 & 15, lowest = (uint8_t)__builtin_ctz((half & 15) | 16);
    one->it_conditions[one->it_count++] = first;
    for (uint8_t bit = 3; bit > lowest; bit--) {
        one->it_conditions[one->it_count++] = (uint8_t)((first & 14) | (half >> bit & 1));
    }
}

/* Return an instruction as it is at address 0, by its halfwords. */
static const instruction_t *known_instruction(decoder_t *d, uint32_t first, uint32_t second,
                                              uint8_t size) {
    uint32_t code = size == 4 ? first << 16 | second : 1u << 16 | first;
    known_t *known = &d->known[code * 0x9e3779b1u >> (32 - KNOWN_BITS)];
    if (known->code == code) {
        return &known->instruction;
    }
    uint8_t bytes[4] = {(uint8_t)first, (uint8_t)(first >> 8), (uint8_t)second,
                        (uint8_t)(second >> 8)};
    cs_insn *found = NULL;
    instruction_t *one = &known->instruction;
    *one = (instruction_t){.size = size, .condition = ALWAYS, .access = {.base = -1, .index = -1}};
    size_t count = d->disassemble(d->handle, bytes, size, 0, 1, &found);
    one->is_unknown = count == 0 || found->size != size;
    if (!one->is_unknown) {
        translate(found, one);
    }
    if (count) {
        d->release(found, count);
    }
    if (one->kind == KIND_IT) {
        note_covered(one, first);
    }
    one->is_foreign = is_foreign(first, second);
    known->code = code;
    return one;
}

static uint32_t halfword(const uint8_t *code) {
    return (uint32_t)code[0] | (uint32_t)code[1] << 8;
}

/*
 * Decode straight-line code; half an instruction at its end is left out. `conditions` are those
 * that an IT before it gives its first instructions. Returns how many there are, at most `most`.
 */
uint32_t decode(decoder_t *d, const uint8_t *code, uint32_t bytes, uint32_t address,
                const uint8_t *conditions, uint32_t waiting, instruction_t *block, uint32_t most) {
    uint32_t count = 0;
    for (uint32_t at = 0; at + 2 <= bytes && count < most; count++) {
        uint32_t first = halfword(code + at);
        uint8_t size = first >> 11 >= 0x1d ? 4 : 2;
        if (at + size > bytes) {
            break;
        }
        uint32_t second = at + 4 <= bytes ? halfword(code + at + 2) : 0;
        instruction_t *one = &block[count];
        *one = *known_instruction(d, first, second, size);
        one->address = address + at;
        one->target += one->has_target ? one->address : 0;
        if (waiting) {
            bool covers = *conditions != ALWAYS && one->kind != KIND_COMPARE_BRANCH;
            one->condition = covers ? *conditions : one->condition;
            conditions++;
            waiting--;
        }
        if (one->it_count) {
            conditions = one->it_conditions;
            waiting = one->it_count;
        }
        at += size;
    }
    return count;
}

#endif
