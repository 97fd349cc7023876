module kinds

go 1.21
