// The only script that travels with each rerun: finds the app's root, loads the bundle once, mounts a view.
const lx = (window.__lx ??= {});

/** Where Streamlit itself was loaded from: unlike the page's URL, free of page names and with any base path. */
lx.appRoot ??= () => {
  const backend = window.__streamlit?.BACKEND_BASE_URL;
  if (backend) return backend.replace(/\/?$/, "/");
  const marker = "/static/js/";
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const scripts = Array.from(document.scripts, (script) => script.src);
  const own = [...loaded, ...scripts].find((url) => url.includes(`${marker}index.`) && url.startsWith(location.origin));
  return own ? own.slice(0, own.indexOf(marker) + 1) : document.baseURI;
};

/** A server that labels .js wrongly makes import() fail; the text then goes through a Blob. */
async function load(url) {
  try {
    return await import(url);
  } catch {
    const blob = new Blob([await (await fetch(url)).text()], { type: "text/javascript" });
    return import(URL.createObjectURL(blob));
  }
}

export default async function (args) {
  const url = new URL(args.data.bundle, lx.appRoot()).href;
  lx.bundles ??= {};
  const { VIEWS } = await (lx.bundles[url] ??= load(url));
  return VIEWS[args.data.view](args);
}
