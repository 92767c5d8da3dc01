/* What gdb looks at: recursion over a list on the heap. */
#include <stdio.h>
#include <stdlib.h>

struct node {
    int value;
    double weight;
    char name[12];
    struct node *next;
};

static int work(struct node *list, int depth)
{
    if (!list)
        return 0;
    list->weight = depth * 0.5;
    return list->value + work(list->next, depth + 1);
}

int main(void)
{
    struct node *list = NULL;
    for (int i = 0; i < 20; i++) {
        struct node *n = calloc(1, sizeof *n);
        if (!n)
            return 1;
        n->value = i * i;
        snprintf(n->name, sizeof n->name, "node %d", i);
        n->next = list;
        list = n;
    }
    printf("%d\n", work(list, 0));
    while (list) {
        struct node *next = list->next;
        free(list);
        list = next;
    }
    return 0;
}
