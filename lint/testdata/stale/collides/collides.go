package collides

//meminspect:entry
var queue []int

func idQueue() int { return len(queue) } // want `generate refuses: idQueue is the name of the constant for queue`
