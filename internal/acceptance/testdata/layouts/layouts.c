// Prints the sizes and offsets of the structures whose layouts this project
// follows, as a C compiler lays out their documented declarations, and the
// fields of files that the project wrote.
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/procfs.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

struct minidump_region { char name[16]; u32 seq_num; u32 valid; u64 address; u64 size; };
struct minidump_subsystem { u32 status, enabled, encryption_status, encryption_required, region_count; u64 regions_baseptr; };
struct minidump_global_toc { u32 status, revision, enabled; struct minidump_subsystem subsystems[10]; };

#define __NEW_UTS_LEN 64
struct kernel_info {
	u8 enabled_all, enabled_base_relative, enabled_absolute_percpu, enabled_cfi_clang;
	u32 num_syms;
	u16 name_len, bit_per_long, module_name_len, symbol_len;
	u64 _relative_pa, _text_pa, _stext_pa, _etext_pa, _sinittext_pa, _einittext_pa, _end_pa;
	u64 _offsets_pa, _names_pa, _token_table_pa, _token_index_pa, _markers_pa, _seqs_of_names_pa;
	u32 thread_size;
	u64 swapper_pg_dir_pa;
	u8 last_uts_release[__NEW_UTS_LEN];
	u8 build_info[256];
	u32 enabled_modules_tree_lookup, mod_mem_offset, mod_kallsyms_offset;
} __attribute__((packed));
struct kernel_all_info { u32 magic_number; u32 combined_checksum; struct kernel_info info; } __attribute__((packed));

struct persistent_ram_buffer { u32 sig; u32 start; u32 size; u8 data[]; };

#define SIZE(t) printf(#t " %zu\n", sizeof(t))
#define OFF(t, f) printf(#t "." #f " %zu\n", offsetof(t, f))

static int fields(const char *dir)
{
	char path[4096];
	struct minidump_global_toc toc;
	struct minidump_region region;
	struct kernel_all_info kinfo;
	struct persistent_ram_buffer zone;
	u32 sum = 0, *word;
	FILE *f;

	snprintf(path, sizeof path, "%s/minidump", dir);
	f = fopen(path, "rb");
	if (!f || fread(&toc, sizeof toc, 1, f) != 1)
		return 1;
	printf("toc %x %x %x %x\n", toc.revision, toc.subsystems[0].enabled, toc.subsystems[0].encryption_status, toc.subsystems[0].encryption_required);
	// The regions stand in the same file; the pointer is the process' own.
	fseek(f, toc.subsystems[0].regions_baseptr & 4095, SEEK_SET);
	for (u32 i = 0; i < toc.subsystems[0].region_count; i++) {
		if (fread(&region, sizeof region, 1, f) != 1)
			return 1;
		printf("region %s %u %x %llu\n", region.name, region.seq_num, region.valid, (unsigned long long)region.size % 4);
	}
	fclose(f);

	snprintf(path, sizeof path, "%s/kinfo", dir);
	f = fopen(path, "rb");
	if (!f || fread(&kinfo, sizeof kinfo, 1, f) != 1)
		return 1;
	fclose(f);
	word = (u32 *)&kinfo.info;
	for (size_t i = 0; i < sizeof kinfo.info / 4; i++)
		sum ^= word[i];
	printf("kinfo %x %d %s %u\n", kinfo.magic_number, sum == kinfo.combined_checksum, kinfo.info.last_uts_release, kinfo.info.bit_per_long);

	snprintf(path, sizeof path, "%s/pstore", dir);
	f = fopen(path, "rb");
	if (!f || fread(&zone, sizeof zone, 1, f) != 1)
		return 1;
	fclose(f);
	printf("pstore %x %u\n", zone.sig, zone.size);
	return 0;
}

int main(int argc, char **argv)
{
	SIZE(struct minidump_region);
	OFF(struct minidump_region, name); OFF(struct minidump_region, seq_num); OFF(struct minidump_region, valid);
	OFF(struct minidump_region, address); OFF(struct minidump_region, size);
	SIZE(struct minidump_subsystem);
	OFF(struct minidump_subsystem, status); OFF(struct minidump_subsystem, enabled); OFF(struct minidump_subsystem, encryption_status);
	OFF(struct minidump_subsystem, encryption_required); OFF(struct minidump_subsystem, region_count); OFF(struct minidump_subsystem, regions_baseptr);
	SIZE(struct minidump_global_toc);
	OFF(struct minidump_global_toc, status); OFF(struct minidump_global_toc, revision); OFF(struct minidump_global_toc, enabled);
	OFF(struct minidump_global_toc, subsystems);

	SIZE(struct kernel_all_info);
	OFF(struct kernel_all_info, combined_checksum);
#define K(f) OFF(struct kernel_all_info, info.f)
	K(enabled_all); K(enabled_base_relative); K(enabled_absolute_percpu); K(enabled_cfi_clang); K(num_syms);
	K(name_len); K(bit_per_long); K(module_name_len); K(symbol_len);
	K(_relative_pa); K(_text_pa); K(_stext_pa); K(_etext_pa); K(_sinittext_pa); K(_einittext_pa); K(_end_pa);
	K(_offsets_pa); K(_names_pa); K(_token_table_pa); K(_token_index_pa); K(_markers_pa); K(_seqs_of_names_pa);
	K(thread_size); K(swapper_pg_dir_pa); K(last_uts_release); K(build_info);
	K(enabled_modules_tree_lookup); K(mod_mem_offset); K(mod_kallsyms_offset);

	OFF(struct persistent_ram_buffer, sig); OFF(struct persistent_ram_buffer, start); OFF(struct persistent_ram_buffer, size);
	OFF(struct persistent_ram_buffer, data);

	SIZE(Elf64_Ehdr); SIZE(Elf64_Phdr); SIZE(Elf64_Nhdr);
	OFF(Elf64_Phdr, p_type); OFF(Elf64_Phdr, p_flags); OFF(Elf64_Phdr, p_offset); OFF(Elf64_Phdr, p_vaddr);
	OFF(Elf64_Phdr, p_filesz); OFF(Elf64_Phdr, p_memsz); OFF(Elf64_Phdr, p_align);
	SIZE(struct elf_prstatus);
	OFF(struct elf_prstatus, pr_cursig); OFF(struct elf_prstatus, pr_pid); OFF(struct elf_prstatus, pr_reg); OFF(struct elf_prstatus, pr_fpvalid);
	SIZE(struct elf_prpsinfo);
	OFF(struct elf_prpsinfo, pr_uid); OFF(struct elf_prpsinfo, pr_pid); OFF(struct elf_prpsinfo, pr_fname); OFF(struct elf_prpsinfo, pr_psargs);
	return argc > 1 ? fields(argv[1]) : 0;
}
