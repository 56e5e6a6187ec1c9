// Never answers anything.
setInterval(() => undefined, 1000);
