import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.util.Collection;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/** One line for each message named: "valid" or why not; the document is the first argument. */
public final class BouncyCastle {
    public static void main(String[] files) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        byte[] document = Files.readAllBytes(Path.of(files[0]));
        for (int i = 1; i < files.length; i++) {
            System.out.println(verdict(document, Files.readAllBytes(Path.of(files[i]))));
        }
    }

    private static String verdict(byte[] document, byte[] message) {
        try {
            CMSSignedData signed = new CMSSignedData(new CMSProcessableByteArray(document), message);
            for (SignerInformation signer : signed.getSignerInfos()) {
                @SuppressWarnings("unchecked")
                Collection<X509CertificateHolder> found = signed.getCertificates().getMatches(signer.getSID());
                X509CertificateHolder holder = found.iterator().next();
                var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder);
                if (!signer.verify(verifier)) {
                    return "wrong";
                }
            }
            return signed.getSignerInfos().size() == 0 ? "no signature" : "valid";
        } catch (Exception error) {
            return "refused: " + error.getMessage();
        }
    }
}
