package main

import (
	"bytes"
	"container/list"
	"container/ring"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"kinds/other"
)

type (
	Color   uint8
	Celsius float64
	Name    string
	Flags   uint32
	Inner   struct {
		A int8
		B int64
		C bool
	}
	Point struct{ X, Y int }
	Node  struct {
		Next, Prev *Node
		Value      int
		Tag        string
	}
	Shape  interface{ Area() float64 }
	Square struct{ Side float64 }
	Circle struct {
		Radius float64
		Name   string
	}
	Word   uintptr
	Single struct{ P *int }
	Outer  struct {
		Inner
		*Node
		Name   Name
		Temps  [3]Celsius
		Shapes []Shape
		ByName map[Name]Shape
		Any    any
		Err    error
		Fn     func(int) int
		Ch     chan string
		_      int32
		unexp  []byte
	}
	Recursive []Recursive
	Self      map[string]Self
	FuncType  func(string, ...any) error
	Empty     struct{}
	BigKey    struct {
		Name string
		Pad  [20]uint64
	}
	BigVal struct {
		Pad  [40]uint32
		Name string
	}
	Generic[T any] struct {
		Value T
		List  []T
		Ptr   *T
	}
	MyErr struct {
		Code int
		Msg  string
	}
)

func (s Square) Area() float64  { return s.Side * s.Side }
func (c *Circle) Area() float64 { return math.Pi * c.Radius * c.Radius }
func (w Word) Area() float64    { return float64(w) }
func (s Single) Area() float64  { return float64(*s.P) }
func (e *MyErr) Error() string  { return e.Msg }

// Numbers, texts, arrays.
var (
	vBool       = true
	vInt        = -42
	vInt8       = int8(-128)
	vInt16      = int16(-3000)
	vInt32      = int32(-70000)
	vInt64      = int64(-1 << 62)
	vUint       = uint(42)
	vUint8      = uint8(200)
	vUint16     = uint16(60000)
	vUint32     = uint32(4e9)
	vUint64     = uint64(1<<64 - 1)
	vUintptr    = uintptr(0xdeadbeef)
	vFloat32    = float32(3.25)
	vFloat64    = 2.718281828459045
	vInf        = math.Inf(-1)
	vNaN        = math.NaN()
	vComplex64  = complex64(complex(1, -2))
	vComplex128 = complex(3.5, 4.5)
	vRune       = 'ß'
	vColor      = Color(3)
	vCelsius    = Celsius(36.6)
	vName       = Name("a name")
	vString     = "hello, world"
	vEmptyStr   = ""
	vLongStr    = strings.Repeat("0123456789", 40)
	vHeapStr    = fmt.Sprint("heap ", os.Args[0] != "", " text")
	vUTF8       = "日本語 \x00\xff\n\"quoted\""
	vArray      = [5]int{1, 2, 3, 4, 5}
	vArray2     = [2][3]string{{"a", "b", "c"}, {"d", "e", "f"}}
	vArrayBig   [300]int32
	vArrayZero  [0]int
	vArrayStr   = [4]*string{&vString, nil, &vHeapStr, &vEmptyStr}
	vZero       int
	vEmpty      Empty
)

// Structs and pointers.
var (
	vInner      = Inner{1, 2, true}
	vPoint      = Point{3, 4}
	vOther      = other.Point{Lat: 1.5, Lon: 2.5}
	vAnon       = struct{ A, B int }{1, 2}
	vPtr        = &vInt
	vPtrPtr     = &vPtr
	vNilPtr     *int
	vPtrStruct  = &Inner{5, 6, false}
	vPtrHeap    = newNode(5)
	vInterior   = &vArray[3]
	vCycle      = cycle()
	vSelf       = selfLoop()
	vAlias1     = &shared
	vAlias2     = &shared
	vOuter      Outer
	vPtrOuter   = &vOuter
	vPtrArr     = &[3]string{"x", "y", "z"}
	vPtrMap     = &vMapStrInt
	vPtrSlice   = &vSlice
	vUnsafe     = unsafe.Pointer(&vInt)
	vUnsafeNil  unsafe.Pointer
	vPtrEmpty   = &vEmpty
	vChain      = chain(12)
	vPtrPtrPtr  = &vPtrPtr
	shared      = Node{Value: 77, Tag: "shared"}
	vPtrUnsafe  = &vUnsafe
	vGeneric    = Generic[string]{"v", []string{"l1", "l2"}, &vString}
	vGenericInt = &Generic[Point]{Point{1, 2}, []Point{{3, 4}}, &vPoint}
	vPairGen    = other.Pair[Name, []Point]{Key: "pair", Val: []Point{{5, 6}}}
)

// Slices.
var (
	vSlice       = []int{1, 2, 3}
	vSliceNil    []int
	vSliceEmpty  = []int{}
	vSliceCap    = make([]int, 2, 50)
	vSliceBytes  = []byte("some bytes")
	vSliceStr    = []string{"alpha", "beta", "", "delta"}
	vSliceSlice  = [][]int{{1}, {2, 3}, nil, {}}
	vSlicePtr    = []*Point{{1, 2}, nil, {3, 4}}
	vSliceStruct = []Inner{{1, 2, true}, {3, 4, false}}
	vSliceAny    = []any{1, "two", 3.0, nil, []int{4}, Point{5, 6}, &vPoint, true, int8(7), complex(1, 2)}
	vSliceIface  = []Shape{Square{2}, &Circle{3, "c"}, Word(9), nil, Single{&vInt}}
	vSliceBig    = make([]uint64, 5000)
	vSliceSub    = vArray[1:3]
	vSliceRunes  = []rune("wörld")
	vSliceEmptyS = []Empty{{}, {}, {}}
	vSliceFunc   = []func(){func() {}, nil, helper}
	vSliceMap    = []map[string]int{{"a": 1}, nil, {}}
	vSliceErr    = []error{io.EOF, nil, &MyErr{1, "mine"}}
	vRecursive   = Recursive{Recursive{}, Recursive{Recursive{}}}
	vSliceTime   = []time.Duration{time.Second, 5 * time.Millisecond}
)

// Maps.
var (
	vMapNil      map[string]int
	vMapEmpty    = map[string]int{}
	vMapStrInt   = map[string]int{"one": 1, "two": 2, "three": 3}
	vMapIntStr   = map[int]string{1: "one"}
	vMapBig      = bigMap(1000)
	vMapHuge     = bigMap(20000)
	vMapGrown    = grownMap()
	vMapDeleted  = deletedMap()
	vMapGrowing  = growingMap()
	vMapPtr      = map[string]*Point{"p": {1, 2}}
	vMapStruct   = map[Point]Inner{{1, 2}: {3, 4, true}}
	vMapIface    = map[any]any{1: "int", "s": 2, Point{1, 2}: []int{3}, 2.5: nil}
	vMapSet      = map[string]struct{}{"in": {}}
	vMapBigKey   = map[BigKey]int{{Name: "big"}: 1}
	vMapBigVal   = map[int]BigVal{7: {Name: "val"}}
	vMapBigBoth  = map[BigKey]BigVal{{Name: "k"}: {Name: "v"}}
	vMapMap      = map[string]map[string]int{"outer": {"inner": 1}}
	vMapSlice    = map[string][]string{"k": {"a", "b"}}
	vMapFunc     = map[string]func(int) int{"double": double}
	vMapBool     = map[bool]string{true: "yes"}
	vMapFloat    = map[float64]int{1.5: 1}
	vMapArr      = map[[2]int]string{{1, 2}: "arr"}
	vMapUint8    = map[uint8]uint8{1: 2, 3: 4}
	vMapInt32    = map[int32]bool{-1: true}
	vMapShape    = map[string]Shape{"sq": Square{3}, "ci": &Circle{1, "n"}}
	vMapChan     = map[string]chan int{"c": vChanBuf}
	vMapSelf     = Self{"a": Self{"b": nil}}
	vMapGeneric  = map[other.Pair[string, int]]*other.Tree[int]{{Key: "k", Val: 1}: {Value: 3}}
	vMapPtrKey   = map[*Point]string{&vPoint: "the point"}
	vMapEight    = map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8}
	vMapNine     = map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9}
	vMapInterior = map[string]*int{"elem": &vArray[2]}
)

// Interfaces.
var (
	vAnyNil    any
	vAnyInt    any   = 7
	vAnySmall  any   = uint8(3)
	vAnyStr    any   = "in an any"
	vAnyPtr    any   = &vInt
	vAnyStruct any   = Inner{7, 8, true}
	vAnyMap    any   = map[string]int{"x": 1}
	vAnySlice  any   = []string{"s"}
	vAnyFunc   any   = helper
	vAnyChan   any   = vChanBuf
	vAnyAny    any   = &vAnyInt
	vAnyDirect any   = Single{&vInt}
	vAnyArr1   any   = [1]*Point{{8, 9}}
	vAnyFloat  any   = 1.25
	vAnyEmpty  any   = Empty{}
	vAnyColor  any   = Color(2)
	vAnyType   any   = reflect.TypeOf(vPoint)
	vAnyBig    any   = [100]int{99: 1}
	vShape     Shape = Square{4}
	vShapePtr  Shape = &Circle{2, "circle"}
	vShapeWord Shape = Word(11)
	vShapeNil  Shape
	vShapeNilP Shape                       = (*Circle)(nil)
	vShapeDir  Shape                       = Single{&vInt}
	vShapeSeen                             = asShape(&Sighted{6, "seen late"})
	vShapeNumb                             = asShape(Glimpse(12))
	vError     error                       = &MyErr{5, "an error"}
	vErrorWrap error                       = fmt.Errorf("wrapped: %w", io.ErrUnexpectedEOF)
	vErrorStd                              = errors.New("standard")
	vErrorJoin                             = errors.Join(io.EOF, &MyErr{2, "joined"})
	vReader    io.Reader                   = strings.NewReader("reader")
	vStringer  fmt.Stringer                = time.Second
	vAnonIface interface{ Area() float64 } = Square{5}
	vCtx                                   = context.WithValue(context.Background(), Name("key"), "value")
	vReflect                               = reflect.ValueOf(vPoint)
	vReflPtr                               = reflect.ValueOf(&vInner)
	vDynStruct                             = dynStruct()
	vDynMap                                = dynMap()
	vDynFunc                               = dynFunc()
)

// Channels and functions.
var (
	vChanNil     chan int
	vChan                   = make(chan int)
	vChanBuf                = make(chan int, 4)
	vChanStr                = make(chan string, 3)
	vChanClosed             = make(chan bool)
	vChanStruct             = make(chan Inner, 2)
	vChanWrapped            = make(chan int, 3)
	vChanWaitR              = make(chan string)
	vChanWaitS              = make(chan Point)
	vChanPtr                = make(chan *Node, 2)
	vChanEmpty              = make(chan struct{}, 5)
	vChanRecv    <-chan int = vChanBuf
	vChanSend    chan<- int = vChanBuf
	vFunc                   = helper
	vFuncNil     func()
	vClosure              = counter(10)
	vClosureStr           = greeter("hello", []int{1, 2})
	vMethod               = vShape.Area
	vMethodPtr            = (&Circle{5, "m"}).Area
	vFuncType    FuncType = fmt.Errorf
	vFuncPtr              = &vFunc
)

// The standard library's own.
var (
	vMutex      sync.Mutex
	vRWMutex    sync.RWMutex
	vOnce       sync.Once
	vWG         sync.WaitGroup
	vSyncMap    sync.Map
	vSyncMapBig sync.Map
	vPool       = sync.Pool{New: func() any { return new(Node) }}
	vAtomicI    atomic.Int64
	vAtomicB    atomic.Bool
	vAtomicV    atomic.Value
	vAtomicP    atomic.Pointer[Node]
	vAtomicPNil atomic.Pointer[string]
	vAtomicPS   atomic.Pointer[[]string]
	vBigInt     = new(big.Int).Exp(big.NewInt(7), big.NewInt(200), nil)
	vBigNeg     = big.NewInt(-12345678901234)
	vBigRat     = big.NewRat(22, 7)
	vBigFloat   = big.NewFloat(1.5)
	vTime       = time.Date(2024, 2, 29, 12, 30, 45, 123456789, time.UTC)
	vTimeZone   = time.Date(2025, 7, 1, 8, 0, 0, 0, time.FixedZone("CEST", 7200))
	vTimeNow    = time.Now()
	vTimeZero   time.Time
	vTimePtr    = &vTime
	vDuration   = 90 * time.Second
	vList       = list.New()
	vRing       = ring.New(4)
	vBuilder    strings.Builder
	vBuffer     bytes.Buffer
	vCond       = sync.NewCond(&vCondLock)
	vCondLock   sync.Mutex
	vMapAtomic  = map[string]*atomic.Pointer[Node]{"set": new(atomic.Pointer[Node]), "nil": new(atomic.Pointer[Node])}
	vSelect1    = make(chan *Node)
	vSelect2    = make(chan string, 2)
	vNested     = []map[string][]any{{"one": {1, "two", []int{3}}}, nil, {"none": nil}}
	vCtxValue   = context.WithValue(vCtx, Name("key"), &vPoint)
	vRegexp     = regexp.MustCompile(`^a(b|c)*d$`)
	vURL        = &url.URL{Scheme: "https", Host: "example.org", Path: "/p"}
	vIP         = net.IPv4(192, 0, 2, 1)
	vAddr       = netip.MustParseAddrPort("192.0.2.7:443")
	vFile       = os.Stderr
	vReplacer   = strings.NewReplacer("a", "b")
	vMonth      = time.March
)
