// This file lets heap.go declare a function without a body.
