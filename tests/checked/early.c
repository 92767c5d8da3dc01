/* Calls of checked functions by an IFUNC's resolver and by a constructor, both before this program's own code. */
#include <stdio.h>
#include <string.h>

extern char early_text[64], early_made[20];
extern int early_constructed;
extern int (*early_pointer)(void);
int early(void);

int main(void)
{
    if (early() == 42 && early_pointer() == 42 && strcmp(early_text, "rresolved") == 0 && early_constructed == 11 &&
        strcmp(early_made, "constructed") == 0)
        return 0;
    printf("%d %s %s\n", early_constructed, early_text, early_made);
    return 1;
}
