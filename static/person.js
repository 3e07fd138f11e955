// The name of who sits here, kept by this browser alone and told to the page when it asks.
const KEY = "second-look-person";

export default function ({ data, setStateValue }) {
  if (data.forget) return localStorage.removeItem(KEY);
  if (data.name) return localStorage.setItem(KEY, data.name);
  const kept = localStorage.getItem(KEY);
  if (kept) setStateValue("name", kept);
}
