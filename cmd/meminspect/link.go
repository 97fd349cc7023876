package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/linker"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// forecasts are the flags that request a forecast.
var forecasts = []string{"forecast", "max", "budget", "depth"}

// A linkJob is the work that the flags of link request.
type linkJob struct {
	pid       int
	json      bool
	layout    bool
	checkOnly bool
	ledgers   []string
	includes  []string
	off       string
	forecast  bool
	gate      bool
	max       bytesize.Value
	budget    bytesize.Value
	depth     int
	embed     bool
	extract   bool
}

func linkCommand() *cobra.Command {
	job := linkJob{depth: anchor.DefaultDepth}
	cmd := &cobra.Command{
		Use:   "link BINARY | --pid PID",
		Short: "Print, check and forecast the annotations of a whole program",
		Long: `Link reads all tables of annotations in an executable, a shared library or a
plugin, stripped or not, or in a running process. It prints the map of the
program: the variables that a capture takes, with their addresses and types.

Findings about the whole program are printed on standard error, and the exit
status is then 1.

With --embed, link writes the map into the binary, as a section that is not loaded
and that strip keeps: included variables, types, and the addresses of the Go
runtime's variables. Embed before strip, and before signing.`,
		Example: `  meminspect link bin/server
  meminspect link --json bin/server
  meminspect link --check --ids store/meminspect.ids --ids queue/meminspect.ids bin/server
  meminspect link --check --off bin/server-off bin/server
  meminspect link --forecast --max 256KiB bin/server
  meminspect link --include capture.list bin/server
  meminspect link --pid 4711
  meminspect link --embed bin/server
  meminspect link --extract bin/server`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			job.forecast = slices.ContainsFunc(forecasts, cmd.Flags().Changed)
			job.gate = cmd.Flags().Changed("max") // an empty variable in a script is not a limit
			return job.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
	}
	flags := cmd.Flags()
	flags.Var(number{&job.pid, 1, anyNumber}, "pid", "read the process `PID` instead of a file")
	flags.BoolVar(&job.json, "json", false, "print JSON")
	flags.BoolVar(&job.layout, "layout", false, "print the fields of the entries' types too")
	flags.BoolVar(&job.checkOnly, "check", false, "print only findings")
	flags.StringArrayVar(&job.ledgers, "ids", nil, "compare the program with the ledger `FILE`; may be repeated")
	flags.StringArrayVar(&job.includes, "include", nil, "add the variables that `FILE` lists; may be repeated")
	flags.StringVar(&job.off, "off", "", "compare with `BINARY`, the same program built with the tag meminspect_off")
	flags.BoolVar(&job.forecast, "forecast", false, "print the smallest and the largest size of a capture")
	flags.Var(&job.max, "max", "forecast, and exit with status 1 if a capture may take more than `SIZE`")
	flags.Var(&job.budget, "budget", "with --forecast: the budget of the capture")
	flags.Var(number{&job.depth, 0, maxDepth}, "depth", "with --forecast: pointers to follow from entries without a depth")
	flags.BoolVar(&job.embed, "embed", false, "write the section .meminspect into the binary")
	flags.BoolVar(&job.extract, "extract", false, "print the section .meminspect of the binary")
	exclusive(cmd, "", "embed", "extract", "pid")
	// Link does one thing at a time: an ignored check would always pass.
	for _, flag := range []string{"layout", "check", "ids", "off"} {
		for _, other := range append([]string{"embed", "extract"}, forecasts...) {
			exclusive(cmd, "", flag, other)
		}
	}
	for _, flag := range append([]string{"json"}, forecasts...) {
		exclusive(cmd, "", flag, "embed")
		exclusive(cmd, "", flag, "extract")
	}
	exclusive(cmd, "", "include", "extract")
	return cmd
}

func (j *linkJob) run(stdout, stderr io.Writer, args []string) error {
	if j.extract {
		return extractSection(stdout, args)
	}
	p, err := j.open(args)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	defer p.Close()
	findings, err := j.include(p)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if j.embed {
		return j.embedSection(p, stdout, stderr, findings)
	}
	if j.forecast {
		return j.printForecast(p, stdout, stderr)
	}
	return j.printMap(p, findings, stdout, stderr)
}

// open opens the program to read.
func (j *linkJob) open(args []string) (*linker.Program, error) {
	switch {
	case j.pid != 0 && len(args) == 0:
		return linker.OpenProcess(j.pid)
	case j.pid == 0 && len(args) == 1:
		return linker.Open(args[0])
	}
	return nil, errors.New("no program is named: give the path of a binary, or --pid")
}

// include adds the variables that the lists name.
func (j *linkJob) include(p *linker.Program) ([]linker.Finding, error) {
	if len(j.includes) == 0 {
		return nil, nil
	}
	var lists []*linker.IncludeList
	for _, path := range j.includes {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		list, err := linker.ParseIncludeList(path, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	return p.Include(lists...)
}

// check runs the checks that the flags request.
func (j *linkJob) check(p *linker.Program) ([]linker.Finding, *linker.Cost, error) {
	var o linker.CheckOptions
	for _, path := range j.ledgers {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		o.Ledgers = append(o.Ledgers, linker.LedgerFile{Path: path, Data: data})
	}
	var cost *linker.Cost
	if j.off != "" {
		off, err := linker.Open(j.off)
		if err != nil {
			return nil, nil, err
		}
		defer off.Close()
		if cost, err = p.Cost(off); err != nil {
			return nil, nil, err
		}
		o.Off = off
	}
	findings, err := p.Check(o)
	return findings, cost, err
}

// A linkReport is the JSON of link.
type linkReport struct {
	*linker.Map
	Findings []linker.Finding `json:"findings"`
	Cost     *linker.Cost     `json:"cost,omitempty"`
}

func (j *linkJob) printMap(p *linker.Program, findings []linker.Finding, stdout, stderr io.Writer) error {
	more, cost, err := j.check(p)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	findings = append(findings, more...)
	m := p.Map()
	switch {
	case j.json:
		if findings == nil {
			findings = []linker.Finding{}
		}
		if err := printJSON(stdout, linkReport{m, findings, cost}); err != nil {
			return err
		}
	case j.checkOnly:
		err = printCost(stdout, cost)
	default:
		if err = printLinkMap(stdout, m, j.layout); err == nil {
			err = printCost(stdout, cost)
		}
	}
	if err != nil {
		return err
	}
	for _, note := range m.Notes {
		fmt.Fprintf(stderr, "meminspect: link: %s\n", note)
	}
	if len(findings) == 0 {
		return nil
	}
	if !j.json {
		for _, f := range findings {
			fmt.Fprintln(stderr, f)
		}
	}
	return &exitError{status: exitFindings}
}

func (j *linkJob) printForecast(p *linker.Program, stdout, stderr io.Writer) error {
	f, err := p.Forecast(linker.ForecastOptions{Depth: j.depth, Budget: uint64(j.budget)})
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if j.json {
		err = printJSON(stdout, f)
	} else {
		err = printLinkForecast(stdout, f)
	}
	if err != nil {
		return err
	}
	if !j.gate || !f.Total.Exceeds(uint64(j.max)) {
		return nil
	}
	if f.Total.Unbounded {
		fmt.Fprintf(stderr, "over-max: a capture may take any number of bytes (%s), more than --max %d\n", f.Total.Why, j.max)
	} else {
		fmt.Fprintf(stderr, "over-max: a capture may take %d bytes, more than --max %d\n", f.Total.Worst, j.max)
	}
	return &exitError{status: exitFindings}
}

// embedSection writes the section into the binary.
func (j *linkJob) embedSection(p *linker.Program, stdout, stderr io.Writer, findings []linker.Finding) error {
	if len(findings) > 0 { // a forbidden variable must not be embedded
		for _, f := range findings {
			fmt.Fprintln(stderr, f)
		}
		return &exitError{status: exitFindings}
	}
	c, err := p.Embed()
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	for _, note := range c.Notes {
		fmt.Fprintf(stderr, "meminspect: link: %s\n", note)
	}
	_, err = fmt.Fprintf(stdout, "%s: embedded %d entries, %d types and %d variables of the runtime\n",
		p.Path, c.Entries, c.Types, c.RuntimeVariables)
	return err
}

// extractSection prints the section that embedSection wrote.
func extractSection(stdout io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("link: --extract: no program is named: give the path of a binary")
	}
	text, err := linker.Extract(args[0])
	if errors.Is(err, embedded.ErrNone) {
		return fmt.Errorf("link: %w; meminspect link --embed writes it", err)
	}
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "%s\n", text)
	return err
}
