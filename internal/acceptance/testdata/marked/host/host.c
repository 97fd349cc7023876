// The C host of the program, if that is built as a library.
extern void marked(void);

int main(void) {
	marked();
	return 0;
}
