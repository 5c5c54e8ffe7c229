#!lua flags=allow-oom
if jn then redis.call('PEXPIRE', KEYS[2], ARGV[8]) end
return answer
