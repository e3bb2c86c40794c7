-- Orders by shop.place_order, for sysbench: a thread is a client with a connection of its own.
--
-- sysbench's own driver reads one result of a statement, and a CALL answers with two. So this script speaks to
-- the client library that sysbench itself is linked with.

local ffi = require("ffi")

ffi.cdef[[
typedef struct st_mysql MYSQL;
typedef struct st_mysql_res MYSQL_RES;
MYSQL *mysql_init(MYSQL *mysql);
MYSQL *mysql_real_connect(MYSQL *mysql, const char *host, const char *user, const char *password,
    const char *database, unsigned int port, const char *socket, unsigned long flags);
int mysql_real_query(MYSQL *mysql, const char *statement, unsigned long length);
MYSQL_RES *mysql_store_result(MYSQL *mysql);
void mysql_free_result(MYSQL_RES *result);
int mysql_next_result(MYSQL *mysql);
const char *mysql_error(MYSQL *mysql);
void mysql_close(MYSQL *mysql);
]]

local CLIENT_MULTI_RESULTS = 0x20000

sysbench.cmdline.options = {
    socket = {"The server's socket", ""},
    user = {"Who orders", "shop_application"},
    first_product = {"The number in the first stock code", 0},
    products = {"How many there are", 1},
    exponent = {"Of Zipf's law; 0 for uniform choice", "0"},
    most_lines = {"Lines of an order at most", 5},
    most_pieces = {"Pieces of a line at most", 3},
    warehouse = {"Where from", 1},
    reconnect = {"A connection for each order: 0 or 1", 0}
}

local connection
local cumulative

local function fail(what)
    error(what .. ": " .. ffi.string(ffi.C.mysql_error(connection)))
end

local function connect()
    connection = ffi.C.mysql_init(nil)
    local connected = ffi.C.mysql_real_connect(
        connection, nil, sysbench.opt.user, "", nil, 0, sysbench.opt.socket, CLIENT_MULTI_RESULTS
    )
    if connected == nil then fail("connect") end
end

local function zipf(count, exponent)
    local weights, total = {}, 0
    for rank = 1, count do
        total = total + 1 / rank ^ exponent
        weights[rank] = total
    end
    return weights
end

-- The same draw as of the other clients: the first rank whose cumulative weight is not below.
local function product()
    local wanted = sysbench.rand.uniform_double() * cumulative[#cumulative]
    local low, high = 1, #cumulative
    while low < high do
        local middle = math.floor((low + high) / 2)
        if cumulative[middle] < wanted then low = middle + 1 else high = middle end
    end
    return sysbench.opt.first_product + low - 1
end

local function token()
    local function hex(digits)
        return string.format("%0" .. digits .. "x", sysbench.rand.uniform(0, 16 ^ digits - 1))
    end
    return table.concat({hex(8), hex(4), "4" .. hex(3), "8" .. hex(3), hex(6) .. hex(6)}, "-")
end

local function order()
    local lines = {}
    for number = 1, sysbench.rand.uniform(1, sysbench.opt.most_lines) do
        lines[number] = string.format(
            '{"stock_code": "B-%d", "quantity": %d}', product(), sysbench.rand.uniform(1, sysbench.opt.most_pieces)
        )
    end
    return string.format(
        "CALL `shop`.`place_order`('%s', NULL, 'France', %d, '[%s]')",
        token(), sysbench.opt.warehouse, table.concat(lines, ", ")
    )
end

-- Once, before there are threads: the library prepares itself, and loads what it logs in with.
function init()
    connect()
    ffi.C.mysql_close(connection)
end

function thread_init()
    cumulative = zipf(sysbench.opt.products, tonumber(sysbench.opt.exponent))
    if sysbench.opt.reconnect == 0 then connect() end
end

function event()
    if sysbench.opt.reconnect == 1 then connect() end
    local statement = order()
    if ffi.C.mysql_real_query(connection, statement, #statement) ~= 0 then fail(statement) end
    repeat
        local result = ffi.C.mysql_store_result(connection)
        if result ~= nil then ffi.C.mysql_free_result(result) end
        local more = ffi.C.mysql_next_result(connection)
        if more > 0 then fail(statement) end
    until more < 0
    if sysbench.opt.reconnect == 1 then ffi.C.mysql_close(connection) end
end

function thread_done()
    if sysbench.opt.reconnect == 0 then ffi.C.mysql_close(connection) end
end
