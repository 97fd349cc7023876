//go:build linux

package acceptance

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/kinfo"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/format/ramoops"
)

// The layouts of others are theirs: a C compiler lays out their documented
// declarations, and has the same sizes and offsets, and reads the same values
// out of files that a program wrote.
func TestLayoutsAgainstC(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("offsets of PRSTATUS are compared on amd64")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("CI promises gcc: ", err)
	}
	if err != nil {
		t.Skip("gcc is missing: it lays out the structures to compare with")
	}
	dir := t.TempDir()
	prog := filepath.Join(dir, "layouts")
	if out, err := exec.Command(gcc, "-Wall", "-Werror", "-Wno-address-of-packed-member", "-o", prog, "testdata/layouts/layouts.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	exe := build(t, "backends", []string{"CGO_ENABLED=0"})
	_, _ = startBackends(t, exe, dir)
	out, err := exec.Command(prog, dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := map[string]string{}
	var regions []string
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "struct" {
			name, rest, _ := strings.Cut(value, " ")
			key, value = name, rest
		}
		if key == "region" {
			regions = append(regions, value)
			continue
		}
		got[key] = value
	}

	thread := (&elfcore.Thread{TID: 0x01020304, Signal: 0x0b, Registers: []uint64{0x1122334455667788, 26: 0}, FPValid: true}).Note().Desc
	process := (&elfcore.Process{UID: 0x01020304, PID: 0x05060708, Name: "NAME", Args: "ARGS"}).Note().Desc
	find := func(b []byte, v any) int {
		want, err := binary.Append(nil, binary.LittleEndian, v)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Index(string(b), string(want))
	}
	program := elfcore.AppendProgram(nil, elfcore.Program{Type: 0x11111111, Flags: 0x22222222, Offset: 0x33333333, Addr: 0x44444444, FileSize: 0x55555555, MemSize: 0x66666666, Align: 0x77777777})
	info := func(i kinfo.Info, v any) int { return find(i.Encode()[8:], v) + 8 }
	address := func(i int) int {
		var k kinfo.Info
		k.Address[i] = 0x8877665544332211
		return info(k, k.Address[i])
	}
	for key, want := range map[string]int{
		"minidump_region": minidump.RegionSize, "minidump_region.name": minidump.RegionName, "minidump_region.seq_num": minidump.RegionSequence,
		"minidump_region.valid": minidump.RegionValid, "minidump_region.address": minidump.RegionAddress, "minidump_region.size": minidump.RegionBytes,
		"minidump_subsystem": minidump.SubsystemSize, "minidump_subsystem.status": minidump.SubsystemStatus, "minidump_subsystem.enabled": minidump.SubsystemEnabled,
		"minidump_subsystem.encryption_status": minidump.SubsystemEncrypted, "minidump_subsystem.encryption_required": minidump.SubsystemEncryption,
		"minidump_subsystem.region_count": minidump.SubsystemRegionCount, "minidump_subsystem.regions_baseptr": minidump.SubsystemRegions,
		"minidump_global_toc": minidump.GlobalSize, "minidump_global_toc.status": minidump.GlobalStatus, "minidump_global_toc.revision": minidump.GlobalRevision,
		"minidump_global_toc.enabled": minidump.GlobalEnabled, "minidump_global_toc.subsystems": minidump.GlobalSubsystems,

		"kernel_all_info": kinfo.Size, "kernel_all_info.combined_checksum": 4,
		"kernel_all_info.info.enabled_all": info(kinfo.Info{EnabledAll: true}, uint8(1)), "kernel_all_info.info.enabled_cfi_clang": info(kinfo.Info{CFIClang: true}, uint8(1)),
		"kernel_all_info.info.enabled_base_relative": info(kinfo.Info{BaseRelative: true}, uint8(1)), "kernel_all_info.info.enabled_absolute_percpu": info(kinfo.Info{AbsolutePerCPU: true}, uint8(1)),
		"kernel_all_info.info.num_syms": info(kinfo.Info{NumSyms: 0x44332211}, uint32(0x44332211)), "kernel_all_info.info.name_len": info(kinfo.Info{NameLen: 0x2211}, uint16(0x2211)),
		"kernel_all_info.info.bit_per_long": info(kinfo.Info{BitPerLong: 0x2211}, uint16(0x2211)), "kernel_all_info.info.module_name_len": info(kinfo.Info{ModuleNameLen: 0x2211}, uint16(0x2211)),
		"kernel_all_info.info.symbol_len":  info(kinfo.Info{SymbolLen: 0x2211}, uint16(0x2211)),
		"kernel_all_info.info.thread_size": info(kinfo.Info{ThreadSize: 0x44332211}, uint32(0x44332211)), "kernel_all_info.info.swapper_pg_dir_pa": info(kinfo.Info{SwapperPgDir: 0x44332211}, uint64(0x44332211)),
		"kernel_all_info.info.last_uts_release": info(kinfo.Info{Release: "release"}, []byte("release")), "kernel_all_info.info.build_info": info(kinfo.Info{BuildInfo: "build"}, []byte("build")),
		"kernel_all_info.info.enabled_modules_tree_lookup": info(kinfo.Info{ModulesTreeLookup: 0x44332211}, uint32(0x44332211)),
		"kernel_all_info.info.mod_mem_offset":              info(kinfo.Info{ModMemOffset: 0x44332211}, uint32(0x44332211)),
		"kernel_all_info.info.mod_kallsyms_offset":         info(kinfo.Info{ModKallsymsOffset: 0x44332211}, uint32(0x44332211)),

		"persistent_ram_buffer.sig": ramoops.OffSignature, "persistent_ram_buffer.start": ramoops.OffStart,
		"persistent_ram_buffer.size": ramoops.OffSize, "persistent_ram_buffer.data": ramoops.OffData,

		"Elf64_Phdr": len(program), "Elf64_Phdr.p_type": find(program, uint32(0x11111111)), "Elf64_Phdr.p_flags": find(program, uint32(0x22222222)),
		"Elf64_Phdr.p_offset": find(program, uint64(0x33333333)), "Elf64_Phdr.p_vaddr": find(program, uint64(0x44444444)),
		"Elf64_Phdr.p_filesz": find(program, uint64(0x55555555)), "Elf64_Phdr.p_memsz": find(program, uint64(0x66666666)), "Elf64_Phdr.p_align": find(program, uint64(0x77777777)),
		"elf_prstatus": len(thread), "elf_prstatus.pr_cursig": 4 + find(thread[4:], uint16(0x0b)), "elf_prstatus.pr_pid": find(thread, uint32(0x01020304)),
		"elf_prstatus.pr_reg": find(thread, uint64(0x1122334455667788)), "elf_prstatus.pr_fpvalid": 200 + find(thread[200:], uint32(1)),
		"elf_prpsinfo": len(process), "elf_prpsinfo.pr_uid": find(process, uint32(0x01020304)), "elf_prpsinfo.pr_pid": find(process, uint32(0x05060708)),
		"elf_prpsinfo.pr_fname": find(process, []byte("NAME")), "elf_prpsinfo.pr_psargs": find(process, []byte("ARGS")),
	} {
		if got[key] != fmt.Sprint(want) {
			t.Errorf("%s: C has %q, here it is %d", key, got[key], want)
		}
	}
	for i, name := range kinfo.AddressNames {
		key := "kernel_all_info.info." + name + "_pa"
		if got[key] != fmt.Sprint(address(i)) {
			t.Errorf("%s: C has %q, here it is %d", key, got[key], address(i))
		}
	}

	if want := "1 454e424c 444f4e45 4e52"; got["toc"] != want {
		t.Errorf("C reads table of contents %q, want %q", got["toc"], want)
	}
	if len(regions) < 6 || regions[0] != "KELF 1 56414c49 0" || regions[1] != "Kvmcorein 2 56414c49 0" || regions[2] != "Kcounter 3 56414c49 0" {
		t.Errorf("C reads regions %q", regions)
	}
	if want := "cceeddff 1 " + runtime.Version() + " 64"; got["kinfo"] != want {
		t.Errorf("C reads kinfo %q, want %q", got["kinfo"], want)
	}
	if !strings.HasPrefix(got["pstore"], "43474244 ") {
		t.Errorf("C reads pstore %q", got["pstore"])
	}
}
