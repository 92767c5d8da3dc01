%{
/* A calculator with variables on the heap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int yylex(void);
void yyerror(const char *text) { fprintf(stderr, "%s\n", text); }
struct variable { char *name; double value; struct variable *next; } *all;
static struct variable *look(char *name)
{
    for (struct variable *v = all; v; v = v->next)
        if (!strcmp(v->name, name)) { free(name); return v; }
    struct variable *v = calloc(1, sizeof *v);
    v->name = name, v->next = all;
    return all = v;
}
%}
%union { double number; char *name; }
%token <number> NUMBER
%token <name> NAME
%type <number> value
%left '+' '-'
%left '*' '/'
%right SIGN
%%
lines: | lines NAME '=' value ';' { struct variable *v = look($2); v->value = $4; printf("%s %g\n", v->name, $4); }
     | lines error ';' ;
value: NUMBER | NAME { $$ = look($1)->value; } | value '+' value { $$ = $1 + $3; } | value '-' value { $$ = $1 - $3; }
     | value '*' value { $$ = $1 * $3; } | value '/' value { $$ = $3 ? $1 / $3 : 0; }
     | '(' value ')' { $$ = $2; } | '-' value %prec SIGN { $$ = -$2; } ;
%%
int main(void) { return yyparse(); }
