/* A few thousand SQL statements: in memory, or with an argument on that file, which is closed,
   opened again and checked. Prints the answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite3.h"

static sqlite3 *db;

static void must(int code, const char *what) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    printf("%s: %s (%d)\n", what, db ? sqlite3_errmsg(db) : "no database", code);
    exit(1);
}

static int row(void *label, int n, char **values, char **names) {
    (void)names;
    printf("%s:", (const char *)label);
    for (int i = 0; i < n; i++) printf(" %s", values[i] ? values[i] : "NULL");
    putchar('\n');
    return 0;
}

static void run(const char *sql) { must(sqlite3_exec(db, sql, NULL, NULL, NULL), sql); }

static void show(const char *label, const char *sql) {
    must(sqlite3_exec(db, sql, row, (void *)label, NULL), sql);
}

static void open_it(const char *name) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    must(sqlite3_open_v2(name, &db, flags, "unix-none"), name);
}

static void fill(int customers, int orders) {
    run("CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, joined INT);"
        "CREATE TABLE item(id INTEGER PRIMARY KEY, label TEXT UNIQUE, price REAL);"
        "CREATE TABLE sale(id INTEGER PRIMARY KEY, customer INT REFERENCES customer(id),"
        "                  item INT REFERENCES item(id), amount INT, note BLOB);"
        "CREATE TABLE log(what TEXT, n INT);"
        "CREATE TRIGGER sold AFTER INSERT ON sale WHEN new.amount > 90 BEGIN"
        "  INSERT INTO log VALUES('large', new.id); END;");
    static const char *cities[] = {"Oslo", "Lima", "Pune", "Kyoto", "Accra", "Turin", "Quito"};
    unsigned x = 4711;
    sqlite3_stmt *s;
    run("BEGIN");
    must(sqlite3_prepare_v2(db, "INSERT INTO customer VALUES(?,?,?,?)", -1, &s, NULL), "prepare");
    for (int i = 1; i <= customers; i++) {
        char name[32];
        x = x * 1664525u + 1013904223u;
        snprintf(name, sizeof name, "customer %u-%d", (x >> 12) % 9973, i);
        sqlite3_bind_int(s, 1, i);
        sqlite3_bind_text(s, 2, name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(s, 3, cities[(x >> 20) % 7], -1, SQLITE_STATIC);
        sqlite3_bind_int(s, 4, (int)(x >> 8 & 0xffff));
        must(sqlite3_step(s), "insert customer");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    for (int i = 1; i <= 50; i++) {
        char sql[96];
        snprintf(sql, sizeof sql, "INSERT INTO item VALUES(%d,'item %02d',%d.%02d)", i, i,
                 i * 37 % 91, i * 13 % 100);
        run(sql);
    }
    must(sqlite3_prepare_v2(db, "INSERT INTO sale VALUES(?,?,?,?,?)", -1, &s, NULL), "prepare");
    for (int i = 1; i <= orders; i++) {
        unsigned char note[24];
        x = x * 1664525u + 1013904223u;
        for (unsigned k = 0; k < sizeof note; k++) note[k] = (unsigned char)(x >> (k % 24) ^ k);
        sqlite3_bind_int(s, 1, i);
        sqlite3_bind_int(s, 2, (int)((x >> 10) % (unsigned)customers) + 1);
        sqlite3_bind_int(s, 3, (int)((x >> 4) % 50) + 1);
        sqlite3_bind_int(s, 4, (int)((x >> 16) % 100));
        sqlite3_bind_blob(s, 5, note, (int)(x % sizeof note), SQLITE_TRANSIENT);
        must(sqlite3_step(s), "insert sale");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    run("COMMIT; CREATE INDEX by_customer ON sale(customer, item); CREATE INDEX by_city ON customer(city)");
}

static void ask(void) {
    show("city", "SELECT city, count(*), min(name), avg(joined) FROM customer GROUP BY city ORDER BY city");
    show("best", "SELECT c.name, sum(s.amount*i.price) AS total FROM sale s JOIN customer c ON c.id=s.customer"
                 " JOIN item i ON i.id=s.item GROUP BY c.id ORDER BY total DESC, c.id LIMIT 5");
    show("window", "SELECT city, t, rank() OVER (ORDER BY t DESC), sum(t) OVER (ORDER BY city) FROM"
                   " (SELECT city, sum(amount) AS t FROM sale JOIN customer c ON c.id=customer GROUP BY city)"
                   " ORDER BY city");
    show("recursive", "WITH RECURSIVE c(n,a,b) AS (SELECT 0,0,1 UNION ALL SELECT n+1,b,a+b FROM c WHERE n<80)"
                      " SELECT n,a FROM c WHERE n%20=0");
    show("primes", "WITH RECURSIVE n(x) AS (VALUES(2) UNION ALL SELECT x+1 FROM n WHERE x<600)"
                   " SELECT count(*), sum(x) FROM n WHERE NOT EXISTS"
                   " (SELECT 1 FROM n m WHERE m.x*m.x<=n.x AND n.x%m.x=0)");
    show("like", "SELECT count(*) FROM customer WHERE name LIKE '%9_7-%' OR name GLOB 'customer [1-3]*-?'");
    show("blob", "SELECT hex(note), length(note) FROM sale WHERE length(note)=20 ORDER BY id LIMIT 3");
    show("text", "SELECT group_concat(upper(substr(label,6)),'/') FROM item WHERE id%7=0");
    show("real", "SELECT round(sum(price),3), printf('%.6e', max(price)/7), total(price)*1e15 FROM item");
    show("json", "SELECT json_extract('{\"a\":[1,2,{\"b\":\"x\\u00e9\"}]}','$.a[2].b'),"
                 " json_group_array(id) FROM item WHERE id<6");
    show("dates", "SELECT date('2024-02-28','+2 days'), julianday('2000-01-01 12:00'), strftime('%j','2023-12-31')");
    show("plan", "EXPLAIN QUERY PLAN SELECT * FROM sale WHERE customer=7 AND item>3");
    show("log", "SELECT what, count(*), sum(n) FROM log GROUP BY what");
}

static void change(int orders) {
    char sql[128];
    for (int i = 1; i <= orders; i += 7) {
        snprintf(sql, sizeof sql, "UPDATE sale SET amount=amount*2+%d WHERE id=%d", i % 5, i);
        run(sql);
    }
    run("SAVEPOINT a; DELETE FROM sale WHERE amount<20; SAVEPOINT b; DROP TABLE item; ROLLBACK TO b; RELEASE a");
    run("BEGIN; DELETE FROM customer; ROLLBACK");
    show("after", "SELECT count(*), sum(amount), max(id) FROM sale");
    int code = sqlite3_exec(db, "INSERT INTO item VALUES(99,'item 01',0)", NULL, NULL, NULL);
    printf("constraint: %d %s\n", code, sqlite3_errmsg(db));
    code = sqlite3_exec(db, "SELEC 1", NULL, NULL, NULL);
    printf("syntax: %d %s\n", code, sqlite3_errmsg(db));
    run("ALTER TABLE customer ADD COLUMN vip INT DEFAULT 0; UPDATE customer SET vip=1 WHERE id IN"
        " (SELECT customer FROM sale GROUP BY customer HAVING sum(amount)>900)");
    show("vip", "SELECT vip, count(*) FROM customer GROUP BY vip");
    run("CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words SELECT name||' '||city FROM customer");
    show("search", "SELECT rowid, body FROM words WHERE words MATCH 'Kyoto AND customer' ORDER BY rowid LIMIT 3");
}

int main(int argc, char **argv) {
    const char *file = argc > 1 ? argv[1] : NULL;
    int customers = file ? 500 : 3000, orders = file ? 4000 : 60000;
    printf("SQLite %s\n", sqlite3_libversion());
    if (file) remove(file);
    open_it(file ? file : ":memory:");
    if (file) run("PRAGMA cache_size=20");
    fill(customers, orders);
    ask();
    change(orders / (file ? 10 : 4));
    if (file) {
        sqlite3_close(db);
        open_it(file);
        run("VACUUM");
        sqlite3_close(db);
        open_it(file);
        show("pages", "PRAGMA page_count");
    }
    ask();
    show("integrity", "PRAGMA integrity_check");
    sqlite3_close(db);
    if (file) printf("removed: %d\n", remove(file));
    return 0;
}
