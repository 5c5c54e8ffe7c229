#!lua flags=allow-oom
renew()
if jn then keep(KEYS[2]) end
if sq then keep(KEYS[3]) end
return cx and 'cancelled' or answer
